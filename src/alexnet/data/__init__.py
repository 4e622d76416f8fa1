"""Data: images are found, decoded once, stored, split, checked, and read in batches."""
