"""The registered model: images in, labels out."""
