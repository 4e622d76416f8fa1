"""From image files to network inputs: formats are recognised, pixels decoded to upright RGB and preprocessed."""
