"""A model at work: images in, labels out."""
