"""The splits of a data set: their names, and the numbers that stand for them in arrays, rising from what is learned to what is tested."""

SPLITS = ("train", "validation", "test")
NO_SPLIT, TRAIN, VALIDATION, TEST = -1, 0, 1, 2  # places in SPLITS
