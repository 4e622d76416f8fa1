"""How good it is: scores on labelled images."""
