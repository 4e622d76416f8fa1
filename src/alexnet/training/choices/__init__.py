"""The choices for a training run: settings and recipes."""
