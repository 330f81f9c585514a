"""The architectures, one file each. A file exports `build`; a new architecture is a new file and nothing else.

    build(shape, class_count, options, batch_normalization) -> keras.Model

from standardised images, float (N, H, W, C) with `shape` (H, W, C), to logits (N, class_count). Every layer has its own name, so that a
model's bytes do not depend on what was built before it.
"""
