"""What an experiment is, where experiments lie, and how a figure is read from a run. No torch here."""
