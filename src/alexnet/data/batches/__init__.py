"""Batches of prepared images: augmented for training, plain for evaluation."""
