"""Folders and archives of images, read by the names of their folders."""
