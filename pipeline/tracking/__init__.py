"""The tracker: runs and models in MLflow, their provenance and how they are related."""
