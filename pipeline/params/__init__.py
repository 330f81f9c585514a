"""The sections of params.yaml, one file each, and the reader that checks them all."""
