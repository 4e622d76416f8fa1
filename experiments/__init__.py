"""The experiments: one file each, with its claim, how to run it, and what came of it."""
