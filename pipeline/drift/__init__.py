"""Do new images still look like the training images, and are they answered like them? Arrays in, values out; no files, no models."""

FEWEST = 20
"""With fewer images nothing can be said."""
