"""What it is: the architecture as a value, the model, and the drawings of it."""
