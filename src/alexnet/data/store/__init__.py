"""Prepared images: decoded once, stored in the cache, verified when read."""
