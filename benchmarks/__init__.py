"""Benchmarks: each command prints its measurements and what they are compared with."""
