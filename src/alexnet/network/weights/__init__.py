"""The weights of other AlexNets, loaded into a network of this package."""
