"""A model over HTTP: requests in, answers out, and the champion followed."""
