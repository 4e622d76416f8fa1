"""The saved model: a folder of weights, configuration and card, here and on the Hugging Face hub."""
