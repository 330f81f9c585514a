"""Pages and pictures for people. Values in, bytes out."""
