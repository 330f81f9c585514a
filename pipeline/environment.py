"""The environment that the tools read as they start: empty variables gone, no telemetry, TensorFlow's fast kernels, a user and a home.

Knows nothing of the project and imports nothing of it: `python -m pipeline.environment` copies this file into the Python environment that runs it,
where a .pth file applies it as Python starts. So it holds for `dvc`, `mlflow`, `prefect` and `pytest`, too.
"""

import codecs
import contextlib
import os
import sys
from collections.abc import MutableMapping

SETTINGS = {
    "DO_NOT_TRACK": "true",  # MLflow takes `true` only, not 1
    "DVC_NO_ANALYTICS": "1",
    "GIT_PYTHON_REFRESH": "quiet",  # of a missing git MLflow would say 40 lines
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # its bars would run into the line that says what failed
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # else the first process takes all of a GPU's memory, and the others fail
    "TF_ENABLE_ONEDNN_OPTS": "1",  # on by default with AVX512 only; with AVX2 a fit is 1.4 to 2 times as fast
}
# An empty CUDA_VISIBLE_DEVICES is not among them: it means no GPU
TOOLS = (
    *("MLFLOW_", "PREFECT_", "DVC_", "PIPELINE_", "PIP_", "TF_", "XLA_", "KERAS_", "JOBLIB_", "LOKY_", "OMP_", "MKL_", "OPENBLAS_"),
    *("XDG_", "AWS_", "AZURE_", "GOOGLE_", "GCSFS_", "FSSPEC_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "MPL"),
)
NAMES = ("TZ", "HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "TMPDIR", "TMP", "TEMP", "NO_PROXY", "NO_COLOR", "COLUMNS", "LINES")
USER_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # where Python's getpass looks for one
PLAIN = {"✓": "ok", "±": "+/-", "…": "...", "·": "-", "→": "->", "×": "x", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"'}
COPY = "image_classifier_environment"


def apply_settings(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set up an environment that all tools can start in; variables that are set stay. Child processes inherit it."""
    drop_blanks(environ)
    _name_user(environ)
    for name, value in SETTINGS.items():
        environ.setdefault(name, value)
    if sys.getfilesystemencoding().lower() != "utf-8":
        environ["PYTHONUTF8"] = "1"  # names of files are UTF-8 in params.yaml and in what the stages write, whatever the terminal shows
    _print_anything()


def drop_blanks(environ: MutableMapping[str, str]) -> None:
    """Trim the variables that the tools read; an empty one counts as not set.

    An empty `http_proxy` takes HTTP_PROXY with it, as curl and Python read it: no proxy.
    """
    for name, value in list(environ.items()):
        proxy = name.lower().endswith("_proxy")
        if not (proxy or name.startswith(TOOLS) or name in NAMES):
            continue
        if trimmed := value.strip():
            if trimmed != value:
                environ[name] = trimmed
            continue
        environ.pop(name, None)
        if proxy and name.islower():
            environ.pop(name.upper(), None)


def _name_user(environ: MutableMapping[str, str]) -> None:
    """A user's name and home where they are not set. A user id without a name, as in containers, is called `uid-1234`: DVC and MLflow ask for one."""
    if "HOME" in environ and any(name in environ for name in USER_NAMES):
        return
    try:
        import pwd

        entry = pwd.getpwuid(os.getuid())
        name, home = entry.pw_name, entry.pw_dir
    except (ImportError, KeyError, AttributeError):
        name, home = f"uid-{os.getuid()}" if hasattr(os, "getuid") else "", ""
    if name and not any(name in environ for name in USER_NAMES):
        environ.update(USER=name, LOGNAME=name)
    if home:
        environ.setdefault("HOME", home)


def _print_anything() -> None:
    """On a terminal that is not UTF-8, replace other letters with plain ones instead of failing."""
    codecs.register_error("plain", _in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        if (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-") not in ("utf-8", "utf8"):
            with contextlib.suppress(AttributeError, ValueError, OSError):  # not a text stream, or closed
                stream.reconfigure(errors="plain")  # type: ignore[union-attr]


def _in_plain_letters(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(letter, letter.encode("ascii", "backslashreplace").decode()) for letter in text), error.end


def main() -> None:
    """Write this file's copy and the .pth file into the Python environment that runs this."""
    import sysconfig
    from pathlib import Path

    folder = Path(sysconfig.get_path("purelib"))
    (folder / f"{COPY}.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    start = f"try:\\n import {COPY}\\n {COPY}.apply_settings()\\nexcept Exception: pass"  # whatever is wrong with it, Python must start
    (folder / "pipeline_environment.pth").write_text(f'import os; exec("{start}")\n', encoding="utf-8")


if __name__ == "__main__":
    main()
