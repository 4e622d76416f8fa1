"""Which images a network is evaluated on, and their labels."""
