"""The parameters: `params.yaml` read, checked and frozen.

Contract: every key of the file is a field here and the other way round; there are no defaults, so a value stands in one
place. All problems are found at once, each with its line. Knows nothing of DVC, MLflow or TensorFlow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from pipeline.config_messages import explain
from pipeline.errors import ConfigError
from pipeline.yaml_file import read_document

SECRET_IN_QUERY = re.compile(r"signature|token|\bsig=|password|secret", re.IGNORECASE)
Scalar = str | int | float | bool
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Device = Literal["auto", "cpu", "gpu"]
Resize = Literal["pad", "crop", "stretch"]
Fill = Literal["nearest", "reflect", "constant"]
Format = Literal["auto", "folders", "table", "parquet", "idx", "npz"]
Policy = Literal["reject", "keep", "fail"]
Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "tanh", "sigmoid"]
Optimizer = Literal["sgd", "rmsprop", "adam", "adamw", "nadam", "lion", "muon"]
Schedule = Literal["linear", "cosine", "constant"]

APPLICATIONS = (
    *("ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "DenseNet121", "DenseNet169", "DenseNet201"),
    *("EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4", "EfficientNetB5", "EfficientNetB6"),
    *("EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L"),
    *("EfficientNetV2M", "EfficientNetV2S", "InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Large"),
    *("MobileNetV3Small", "NASNetLarge", "NASNetMobile", "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50"),
    *("ResNet50V2", "VGG16", "VGG19", "Xception"),
)
"""The networks of keras.applications, by name, so that the check need not load Keras."""


def model_names() -> list[str]:
    """The project's own architectures: the files of pipeline/ml/models/ but the one that wraps Keras's."""
    folder = Path(__file__).parent / "ml" / "models"
    return sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_") and file.stem != "applications")


def _known_model(name: str) -> str:
    if name not in (*model_names(), *APPLICATIONS):
        raise ValueError(f"should be one of {', '.join(model_names())}, or a network of keras.applications, as in docs/models.md")
    return name


def _weights_exist(weights: str, info: ValidationInfo) -> str:
    name = info.data.get("name")
    if weights != "none" and name in model_names():
        raise ValueError(f"should be none with model.name {name}: only networks of keras.applications have pretrained weights")
    return weights


def _source_path(source: str) -> str:
    if not source.strip():
        raise ValueError("should be the path of a folder or an archive")
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in source):
        raise ValueError("should be one line of text, without control characters")
    if source.startswith("~"):
        raise ValueError(f"should be a whole path, {os.path.expanduser(source)} for example: ~ is not expanded")  # noqa: PTH111 - never raises
    if re.match(r"file:|local://", source, re.IGNORECASE):
        raise ValueError(
            f"should be a path without {source.split(':')[0]}://, as in {re.sub('^[a-z]+:/*', '/', source, flags=re.IGNORECASE)}"
        )
    url = urlsplit(source) if "://" in source else None
    if url and (url.password or SECRET_IN_QUERY.search(url.query)):
        raise ValueError("should hold no password or signature, since params.yaml and dvc.lock are kept in git")
    return source


def _class_names(names: object) -> object:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError('should be a list of class names, as in [cat, "7"], or [] for none; quotes make a number a name')
    return names


class Section(BaseModel):
    """One section of params.yaml: immutable, with no unknown keys and no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


SizePx = Annotated[int, Field(ge=8, le=1024)]


class Ingest(Section):
    source: Annotated[str, AfterValidator(_source_path)]
    format: Format
    test_fraction: Annotated[float, Field(ge=0.01, le=0.9)]
    max_rejected_fraction: Annotated[float, Field(ge=0, le=1)]
    unusable: Literal["reject", "fail"]
    wrong_type: Policy
    duplicate: Policy
    conflict: Policy
    leak: Policy
    near_duplicate: Policy
    near_conflict: Policy
    near_leak: Policy
    class_problem: Literal["keep", "fail"]
    removed_classes: Annotated[list[str], BeforeValidator(_class_names)]
    replaced_images: Literal["fail", "keep"]


class Preprocess(Section):
    image_size: Literal["auto"] | Annotated[list[SizePx], Field(min_length=2, max_length=2)]
    channels: Literal["auto", 1, 3]
    resize: Resize


class Augment(Section):
    horizontal_flip: bool
    rotation_degrees: Annotated[float, Field(ge=0, le=180)]
    shift_fraction: Annotated[float, Field(ge=0, le=0.9)]
    shear_degrees: Annotated[float, Field(ge=0, le=60)]
    zoom_fraction: Annotated[float, Field(ge=0, le=0.9)]
    fill: Fill
    erase_fraction: Annotated[float, Field(ge=0, le=0.9)]
    random_erase_fraction: Annotated[float, Field(ge=0, le=1)]
    brightness: Annotated[float, Field(ge=0, le=1)]
    contrast: Annotated[float, Field(ge=0, le=1)]
    saturation: Annotated[float, Field(ge=0, le=1)]
    hue: Annotated[float, Field(ge=0, le=1)]
    rand_augment: Annotated[float, Field(ge=0, le=1)]
    mixup: Annotated[float, Field(ge=0, le=1)]
    cutmix: Annotated[float, Field(ge=0, le=1)]


class Model(Section):
    name: Annotated[str, AfterValidator(_known_model)]
    weights: Annotated[Literal["none", "imagenet"], AfterValidator(_weights_exist)]
    width: Annotated[float, Field(ge=0.0625, le=8)]
    activation: Activation
    pooling: Literal["max", "average"]
    kernel_size: Literal[3, 5]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    flip_average: bool


class Train(Section):
    epochs: Annotated[int, Field(ge=1)]
    min_steps: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=1)]
    optimizer: Optimizer
    learning_rate: Literal["auto"] | Annotated[float, Field(gt=0, allow_inf_nan=False)]
    schedule: Schedule
    warmup_fraction: Annotated[float, Field(ge=0, le=1)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Literal["auto"] | Annotated[float, Field(ge=0, le=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    class_weights: Literal["none", "balanced"]
    early_stopping_epochs: Annotated[int, Field(ge=0)]
    frozen_epochs: Annotated[int, Field(ge=0)]
    fine_tune_rate: Annotated[float, Field(gt=0, le=1)]
    validation_fraction: Annotated[float, Field(ge=0.01, le=0.5)]
    precision: Precision
    device: Device


class CrossValidate(Section):
    folds: Annotated[int, Field(ge=2, le=20)]
    workers: Annotated[int, Field(ge=1, le=20)]


class Evaluate(Section):
    top_k: Annotated[int, Field(ge=2)]


class Register(Section):
    model_name: Annotated[str, Field(pattern=r"^[^/:.\s][^/:]*$")]
    min_accuracy: Annotated[float, Field(ge=0, le=1)]
    margin: Annotated[float, Field(ge=0, le=1)]


class Config(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    ingest: Ingest
    preprocess: Preprocess
    augment: Augment
    model: Model
    train: Train
    cross_validate: CrossValidate
    evaluate: Evaluate
    register_: Annotated[Register, Field(alias="register")]  # BaseModel has a method of that name

    def flat(self) -> dict[str, Scalar]:
        """Every parameter by its dotted name, `train.learning_rate`; a list becomes text."""
        return dict(_flatten(self.model_dump(by_alias=True)))

    def source_path(self, root: Path) -> Path:
        """Where the images come from, as an absolute path."""
        return (root / self.ingest.source).absolute()


def params_schema() -> dict[str, Any]:
    """The JSON Schema of params.yaml, by which an editor completes and checks it."""
    schema = Config.model_json_schema(by_alias=True)
    schema["properties"]["model"]["description"] = f"name is one of {', '.join((*model_names(), *APPLICATIONS))}"
    return schema


def load_config(path: Path) -> Config:
    """The checked parameters of a params.yaml. Raises ConfigError with all its problems, one line each."""
    document = read_document(path)
    try:
        return Config.model_validate(_plain(document))
    except ValidationError as error:
        problems = [dict(problem) for problem in error.errors()]
        raise ConfigError("\n".join(explain(problems, document, path.name, Config, model_choices()))) from None


def model_choices() -> dict[str, list[str]]:
    """What a parameter may be that its type does not say, for suggestions."""
    return {"model.name": [*model_names(), *APPLICATIONS]}


def _plain(node: Any, known: dict[int, Any] | None = None) -> Any:
    """YAML's annotated values as plain Python ones; what stands there once and is referred to is made once."""
    known = {} if known is None else known
    if isinstance(node, dict | list):
        if id(node) not in known:
            known[id(node)] = None  # what holds itself
            known[id(node)] = (
                {str(key): _plain(value, known) for key, value in node.items()}
                if isinstance(node, dict)
                else [_plain(value, known) for value in node]
            )
        return known[id(node)]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _flatten(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, str(value) if isinstance(value, list | tuple) else value
