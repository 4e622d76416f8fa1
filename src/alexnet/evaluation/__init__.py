"""How good it is: scores on labelled pictures."""
