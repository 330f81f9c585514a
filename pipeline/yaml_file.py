"""A file of YAML sections, read with its lines, as DVC reads it. Any other file gives a one-line error: where, what, and what to do."""

from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from pipeline.errors import ConfigError

LARGEST_BYTES = 1_000_000
REASONS = {
    "found another document": "a second document begins here, with `---`; one is expected",
    "integer string conversion": "it has a number with too many digits",
    "special characters are not allowed": "a character that cannot be printed is not allowed",
    "month must be in": "it has an invalid date; put it in quotes if it is text",
    "day is out of range": "it has an invalid date; put it in quotes if it is text",
}
WHAT_TO_DO = "Restore it from git: `git checkout -- params.yaml`"


def read_document(path: Path) -> CommentedMap:
    """The sections of a YAML file with their lines. Raises ConfigError if it is not a file of sections."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: the parameters cannot be read: {error.strerror}. Check its owner: `ls -l {path}`.") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path.name}:{line}: expected UTF-8 text. Save the file as UTF-8.") from None
    if len(content) > LARGEST_BYTES:
        raise ConfigError(f"{path.name}: larger than 1 MB, which is too large for parameters. {WHAT_TO_DO}.")
    return _parse(text, path.name)


def _parse(text: str, name: str) -> CommentedMap:
    try:
        document = YAML(typ="rt").load(text)
    except (YAMLError, ValueError, RecursionError, OverflowError, AttributeError, TypeError) as error:
        raise ConfigError(_not_yaml(error, text, name)) from None
    if not isinstance(document, CommentedMap):
        kind = "nothing" if document is None else _kind(document)
        raise ConfigError(f"{name}:1: expected sections such as `train:`, found {kind}. {WHAT_TO_DO}.")
    return document


def _not_yaml(error: Exception, text: str, name: str) -> str:
    lines = text.splitlines()
    markers = [number for number, line in enumerate(lines, start=1) if line.startswith(("<<<<<<< ", ">>>>>>> "))]
    if markers:
        return f"{name}:{markers[0]}: unresolved merge conflict: keep one version, and delete the lines with <<<<<<<, ======= and >>>>>>>."
    mark = getattr(error, "problem_mark", None)
    position = getattr(error, "position", None)
    number = mark.line + 1 if mark else text.count("\n", 0, position) + 1 if position is not None else 0
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error or type(error).__name__).splitlines()[0]
    reason = (
        "nested too deep" if isinstance(error, RecursionError) else next((own for theirs, own in REASONS.items() if theirs in said), said)
    )
    written = lines[number - 1] if 0 < number <= len(lines) else ""
    hint = " Indent with spaces, not with tabs." if "\t" in written[: len(written) - len(written.lstrip())] else ""
    return f"{name}{f':{number}' if number else ''}: not valid YAML: {reason.rstrip('.')}.{hint}"


def _kind(value: object) -> str:
    return {"CommentedSeq": "a list", "str": "text"}.get(type(value).__name__, type(value).__name__)
