"""May this model serve? The gate, the decision, and what the registry says."""
