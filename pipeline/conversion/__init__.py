"""A saved model in the formats of other runtimes."""
