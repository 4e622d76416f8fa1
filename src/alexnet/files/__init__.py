"""Files: written whole or not at all, read with each value checked, downloaded, and their paths."""
