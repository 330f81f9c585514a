"""A pipeline that keeps a trustworthy image classifier in the registry: see docs/architecture.md."""
