"""The page on the paper, from stored runs alone."""
from pathlib import Path
def write_page(experiments, results, docs, scale):
    return docs
