"""Commands that measure; each prints what it measured and against what."""
