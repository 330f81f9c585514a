"""What the folders of a source mean: splits, classes, wrapping folders, strays."""
