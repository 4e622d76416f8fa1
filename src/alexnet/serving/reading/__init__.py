"""Requests: taken on within limits, read, and taken apart into images."""
