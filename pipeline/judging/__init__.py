"""Is the new model good enough to take the champion's place? The gate, what it is told, and what is kept of it."""
