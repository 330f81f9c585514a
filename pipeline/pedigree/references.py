"""Which registered version a person means: `3`, `champion`, `flowers/3`, `flowers@champion`, with or without `models:/`."""

from collections.abc import Sequence

from pipeline.errors import ConfigError, StorageError
from pipeline.files import read_json
from pipeline.names import listed
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.registry.decision import read_decision
from pipeline.registry.reference import parts_of
from pipeline.tracking.run_log import ModelVersion, Registered, Tracker
from pipeline.tracking.tracking_server import registry_at

NAMED = 12


def find_registered(tracker: Tracker, paths: Paths, name: str = "") -> Registered:
    """The registered model of this name; without one, that of the project. Raises ConfigError, with the names that exist."""
    wanted = name or _own_name(tracker, paths)
    registered = tracker.registered(wanted)
    if registered is None:
        address, variable = registry_at(paths)
        raise ConfigError(f"The registry {address} has no model {wanted!r}. {_names(tracker, variable)}")
    return registered


def find_model_version(tracker: Tracker, paths: Paths, text: str, name: str = "") -> ModelVersion:
    """The version that a reference names. Raises ConfigError for one that does not exist, with those that do."""
    reference = text.strip().removeprefix("models:/")
    given, number, alias = parts_of(reference)
    if name and given and given != name:
        raise ConfigError(f"{text} names the model {given!r}, but --name is {name!r}. Leave one of them out.")
    registered = find_registered(tracker, paths, given or name)
    if not number:
        number = registered.aliases.get(alias, "")
        if not number:
            there = ", ".join(f"{known} (version {version})" for known, version in sorted(registered.aliases.items())) or "none"
            raise ConfigError(f"{registered.name} has no alias {alias!r}. Aliases: {there}. {_versions(tracker, registered.name)}")
    version = tracker.version(registered.name, number)
    if version is None:
        raise ConfigError(f"{registered.name} has no version {number}. {_versions(tracker, registered.name)}")
    return version


def _own_name(tracker: Tracker, paths: Paths) -> str:
    """The project's model: by its last decision, its parameters, its data, or because the registry has one only."""
    if name := read_decision(paths).get("model_name"):
        return str(name)
    if (name := load_config(paths.params).register_.model_name) != "auto":
        return name
    try:
        return str(read_json(paths.stage("preprocess") / "spec.json")["dataset_name"])
    except (StorageError, KeyError):
        names = tracker.model_names()
    if len(names) == 1:
        return names[0]
    raise ConfigError(f"This project has registered no model yet, so it does not say which one is meant. {_names_in(names, paths)}")


def _names(tracker: Tracker, variable: str) -> str:
    names = tracker.model_names()
    return f"It has {listed(names, NAMED)}." if names else f"It has no model at all: is {variable} the registry that you mean?"


def _names_in(names: Sequence[str], paths: Paths) -> str:
    address, variable = registry_at(paths)
    if not names:
        return f"The registry {address} has no model at all. `pipeline run` registers one, or {variable} is another registry."
    return f"Name it with --name; the registry {address} has {listed(names, NAMED)}."


def _versions(tracker: Tracker, name: str) -> str:
    numbers = [version.version for version in tracker.all_versions(name)]
    if not numbers:
        return "It has no version."
    last = numbers[-NAMED:]
    more = f"{len(numbers):,} versions, the last of them " if len(numbers) > NAMED else "Versions: "
    return f"{more}{', '.join(last)}."
