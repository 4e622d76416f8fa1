"""Pretrained weights: find, download, read and load them."""
