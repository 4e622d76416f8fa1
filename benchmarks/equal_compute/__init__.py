"""Short trainings at equal compute, to choose the numbers of ``modern``: ``python -m benchmarks.equal_compute``."""
