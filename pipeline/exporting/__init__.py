"""A registered model for where it is deployed, measured there."""
