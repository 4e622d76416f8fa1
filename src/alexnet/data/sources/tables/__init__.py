"""Tables that list images with their labels."""
