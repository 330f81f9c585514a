"""When is an answer sure? Probabilities that can be taken at their word, `sure` or `unsure`, and the classes that it may be."""
