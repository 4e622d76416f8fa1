"""The page that shows predictions in a browser, for the server and as one file with the network inside. No torch."""
