"""What is kept: images, splits, folds, packed arrays, and what earlier runs recorded."""
