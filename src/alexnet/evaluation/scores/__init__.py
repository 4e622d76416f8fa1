"""Scores from what a network outputs and the true labels, in numpy alone: every engine is scored alike."""
