"""One image: decoded, turned upright, resized."""
