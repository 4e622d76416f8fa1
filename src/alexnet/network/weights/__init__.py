"""Weights of other networks, put into one of ours."""
