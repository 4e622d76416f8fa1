"""Network architectures as frozen values: print, compare, save and change them. No torch here."""
