"""Images as people have them: recognised, decoded to upright RGB, and made what a network takes."""
