"""What a network looks at: maps, channels, kernels and the training images that it compares an image with."""
