"""How it answers: the saved model, the engine that runs it, and pictures in, ranked labels out."""
