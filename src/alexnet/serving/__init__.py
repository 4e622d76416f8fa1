"""The server: models behind HTTP, with dynamic batching and limits for all that a client may send. No torch here."""
