"""May this model serve? The gate, the decision and the state of the registry."""
