"""Folders and archives of images, understood by their names."""
