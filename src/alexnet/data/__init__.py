"""What it sees: images found, decoded once, split, stored, and fed in batches."""
