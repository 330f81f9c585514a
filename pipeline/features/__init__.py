"""What a pretrained network says of every packed image, kept by content. Arrays and files; no TensorFlow."""
