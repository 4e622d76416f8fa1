"""Weights that others trained: found, downloaded, read and loaded."""
