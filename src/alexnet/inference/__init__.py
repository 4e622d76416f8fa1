"""Inference: the engine that runs a saved model, and the classifier that turns images into ranked labels."""
