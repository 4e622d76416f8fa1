"""What people look at after training: reports of a run, and of the labels of its images."""
