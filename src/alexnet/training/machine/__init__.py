"""The machine that trains, and the other processes."""
