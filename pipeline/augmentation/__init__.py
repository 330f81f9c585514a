"""Random transforms of training images."""
