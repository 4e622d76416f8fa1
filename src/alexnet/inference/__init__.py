"""How it answers: the saved model, the engine that runs it, and images in, ranked labels out."""
