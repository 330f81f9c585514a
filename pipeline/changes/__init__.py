"""What changed since the champion: images, labels, parameters, code, answers, and the look of the new images."""
