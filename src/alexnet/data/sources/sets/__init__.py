"""Named data sets and data sets of the Hugging Face hub, which are downloaded."""
