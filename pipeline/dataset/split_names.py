"""The splits of a data set: names, and the numbers used in arrays, ascending from train to test."""

SPLITS = ("train", "validation", "test")
NO_SPLIT, TRAIN, VALIDATION, TEST = -1, 0, 1, 2  # indices into SPLITS
