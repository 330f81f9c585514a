"""From arrays to a model."""
