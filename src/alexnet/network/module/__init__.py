"""The network as a ``torch.nn.Module``, and its layers."""
