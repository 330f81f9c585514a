"""Where did a model come from, and how do we go back? The commands history, promote, rollback, trace and reproduce."""
