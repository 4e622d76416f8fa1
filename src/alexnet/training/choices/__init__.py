"""What a user chooses for a training run."""
