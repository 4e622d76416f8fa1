"""What a network is, as frozen values that can be printed, compared, saved and changed. No torch here."""
