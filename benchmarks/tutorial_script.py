"""The tutorial's way to train, as its readers have it: Keras's fit on an ImageDataGenerator, 100 steps of 32 images to an epoch: images per second.

    python benchmarks/tutorial_script.py IMAGES.npy LABELS.npy

Prints one JSON line. Run by speed.py in a process of its own, with TensorFlow's own choice of threads. Validation passes are not counted.
"""

import json
import sys
import time

import keras
import numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator

STEPS, BATCH_SIZE = 100, 32


def build(shape: tuple[int, ...], class_count: int) -> keras.Model:
    """Conv32-pool-Conv64-pool-Conv64-pool-Dense64, as in pipeline/models/tutorial.py."""
    model = keras.Sequential([keras.Input(shape)])
    for filters in (32, 64, 64):
        model.add(keras.layers.Conv2D(filters, 3, activation="relu", padding="same"))
        model.add(keras.layers.MaxPooling2D(2, padding="same"))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(64, activation="relu"))
    model.add(keras.layers.Dense(class_count, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(images_path: str, labels_path: str) -> None:
    """Train for an epoch, and for some steps before it that are not counted."""
    images, labels = np.load(images_path).astype(np.float32), np.load(labels_path)
    moves = {"rotation_range": 20, "width_shift_range": 0.1, "height_shift_range": 0.1, "shear_range": 10, "zoom_range": 0.1}
    flow = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True, **moves).flow(images, labels, batch_size=BATCH_SIZE, seed=1)
    model = build(images.shape[1:], int(labels.max()) + 1)
    model.fit(flow, steps_per_epoch=5, verbose=0)
    started = time.perf_counter()
    model.fit(flow, steps_per_epoch=STEPS, verbose=0)
    print(json.dumps({"images_per_second": STEPS * BATCH_SIZE / (time.perf_counter() - started)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
