"""What it sees: pictures found, decoded once, split, stored, and fed in batches."""
