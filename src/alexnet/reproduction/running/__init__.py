"""Runs: their images, training and measuring, how they are stored, and in which order they are computed."""
