"""The benchmarks for a machine with a GPU, in one command: ``python -m benchmarks.gpu``."""
