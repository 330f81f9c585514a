"""The parameters: `params.yaml` read, checked and frozen.

Contract: every key of the file is a field of a section and the other way round; there are no defaults, so each value is in one place. All
problems are found at once, each with its line. Knows nothing of DVC, MLflow or TensorFlow.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from pipeline.errors import ConfigError
from pipeline.params.augment import Augment
from pipeline.params.cross_validate import CrossValidate
from pipeline.params.evaluate import Evaluate
from pipeline.params.ingest import Ingest
from pipeline.params.messages import explain, locate
from pipeline.params.model import Model, known_models
from pipeline.params.preprocess import Preprocess
from pipeline.params.recipe import contradictions
from pipeline.params.register import Register
from pipeline.params.retrain import Retrain
from pipeline.params.section import Scalar, Section
from pipeline.params.train import Train
from pipeline.yaml_file import read_document


class Config(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    """any integer from 0 to 2147483647; the same seed, data and machine give the same bytes"""
    ingest: Ingest
    preprocess: Preprocess
    augment: Augment
    model: Model
    train: Train
    cross_validate: CrossValidate
    evaluate: Evaluate
    register_: Annotated[Register, Field(alias="register")]  # BaseModel has a method of that name
    retrain: Retrain

    def flat(self) -> dict[str, Scalar]:
        """Every parameter of a model by its dotted name, `train.learning_rate`; a list becomes text. `retrain` decides when, not what."""
        return dict(_flatten(self.model_dump(by_alias=True, exclude={"retrain"})))

    def unusual(self) -> list[str]:
        """The dotted names of the parameters that differ from their usual values: somebody wrote them."""
        usual = Config.model_validate(usual_values()).flat()
        return [name for name, value in self.flat().items() if value != usual[name]]

    def source_path(self, root: Path) -> Path:
        """Where the images come from, as an absolute path."""
        return (root / self.ingest.source).absolute()


def params_schema() -> dict[str, Any]:
    """The JSON Schema of params.yaml, by which an editor completes and checks it."""
    schema = Config.model_json_schema(by_alias=True)
    schema["properties"]["model"]["description"] = f"name is one of {', '.join(known_models())}"
    return schema


def load_config(path: Path) -> Config:
    """The checked parameters of a params.yaml. Raises ConfigError with all its problems, one line each."""
    document = read_document(path)
    try:
        config = Config.model_validate(_plain(document))
    except ValidationError as error:
        problems = [dict(problem) for problem in error.errors()]
        raise ConfigError("\n".join(explain(problems, document, path.name, Config, model_choices(), usual_values()))) from None
    if found := contradictions(config):
        raise ConfigError("\n".join(f"{path.name}:{locate(document, keys)[0]}: {'.'.join(keys)} {words}" for keys, words in found))
    return config


def usual_values() -> dict[str, Any]:
    """The usual value of every parameter, by section."""
    values: dict[str, Any] = _plain(read_document(Path(__file__).with_name("usual_values.yaml")))
    return values


def model_choices() -> dict[str, list[str]]:
    """What a parameter may be that its type does not say, for suggestions."""
    return {"model.name": known_models()}


def _plain(node: Any, known: dict[int, Any] | None = None) -> Any:
    """YAML's annotated values as plain Python ones; a value that is referred to several times is made once."""
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
