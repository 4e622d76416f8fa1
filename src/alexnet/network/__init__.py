"""The network: its architecture as a value, the torch model, its weights and its drawings."""
