"""Experiments: what the paper claims, trained at a size that anyone can run, and the page on it."""
