"""The tutorial's network in PyTorch at its best setting on a CPU, without augmentation: images per second.

    python benchmarks/torch_tutorial.py IMAGES.npy LABELS.npy BATCH_SIZE STEPS PRECISION

PRECISION: bfloat16, which is best where the processor multiplies it, or float32. In channels last, which is no slower in either.
Prints one JSON line. Run by speed.py with an interpreter that has PyTorch, which this project does not need.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn


def build(class_count: int) -> nn.Module:
    """Conv32-pool-Conv64-pool-Conv64-pool-Dense64, as in pipeline/models/tutorial.py."""
    layers: list[nn.Module] = []
    for channels_in, channels_out in ((1, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, class_count))


def main(images_path: str, labels_path: str, batch_size: int, steps: int, precision: str) -> None:
    """Train for some steps and for a few before them that are not counted."""
    images = torch.from_numpy(np.load(images_path)).permute(0, 3, 1, 2).to(memory_format=torch.channels_last)
    labels = torch.from_numpy(np.load(labels_path)).long()
    model = build(int(labels.max()) + 1).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    generator = torch.Generator().manual_seed(1)
    started = cpu = 0.0
    for step in range(-20, steps):
        if step == 0:
            started, cpu = time.perf_counter(), time.process_time()
        rows = torch.randint(len(images), (batch_size,), generator=generator)
        batch = images[rows].to(getattr(torch, precision)).contiguous(memory_format=torch.channels_last).mul_(1 / 255)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = nn.functional.cross_entropy(model(batch), labels[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    seconds = time.perf_counter() - started
    print(json.dumps({"images_per_second": steps * batch_size / seconds, "cpu_seconds": time.process_time() - cpu, "loss": float(loss)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
