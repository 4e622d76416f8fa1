"""Named data sets, which are downloaded."""
