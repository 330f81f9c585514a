"""A pretrained network: its weights, and what it says of images.

Knows nothing of TensorFlow or Keras, and imports neither.
"""
