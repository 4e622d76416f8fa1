"""Prepared images: decoded once, kept in the cache, verified when read."""
