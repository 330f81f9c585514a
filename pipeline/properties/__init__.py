"""What brightness, size, sharpness and the like say of images: where a model is worse, what gives classes away, which images are unusual."""
