"""The tracker: runs and models in MLflow, where they come from, how they hang together."""
