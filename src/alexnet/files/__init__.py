"""Atomic writes, JSON with checked types, downloads, and paths."""
