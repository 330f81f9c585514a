"""Proxies and certificates from the environment: invalid settings are reported before anything starts, and loopback bypasses proxies.

In: environment variables. Out: nothing, or one ConfigError that names the variable. Knows nothing of Prefect or MLflow, whose clients read them.
"""

import importlib.util
import os
import re
import ssl
from collections.abc import MutableMapping
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
CERTIFICATE_FILES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PREFECT_API_SSL_CERT_FILE",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
)
CERTIFICATE_FOLDERS = ("SSL_CERT_DIR",)
EITHER = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "MLFLOW_TRACKING_SERVER_CERT_PATH")  # read by requests, which also accepts a folder


def check_network() -> None:
    """Raise ConfigError for the first variable with an unusable proxy or certificate. Empty variables count as unset."""
    for name, value in sorted(os.environ.items()):
        if name.lower() in PROXIES and value.strip():
            _check_proxy(name, value.strip())
        elif name.upper() == "NO_PROXY":
            _check_exceptions(name, value)
    for name in CERTIFICATE_FILES:
        if value := os.environ.get(name, ""):
            _check_certificates(name, Path(value))
    for name in CERTIFICATE_FOLDERS:
        for folder in filter(None, os.environ.get(name, "").split(os.pathsep)):
            if not Path(folder).is_dir():
                raise ConfigError(f"{name} is {folder}: there is no such folder of certificates. Correct it, or unset {name}.")


def spare_loopback(environ: MutableMapping[str, str]) -> None:
    """Add loopback to NO_PROXY and no_proxy: a proxy cannot reach servers on this machine."""
    spared = [entry for name in ("NO_PROXY", "no_proxy") for part in environ.get(name, "").split(",") if (entry := _without_brackets(part))]
    if "*" in spared:  # only valid on its own
        environ["NO_PROXY"] = environ["no_proxy"] = "*"
        return
    environ["NO_PROXY"] = environ["no_proxy"] = ",".join(dict.fromkeys([*spared, *LOOPBACK]))


def masked(text: str) -> str:
    """The text, with user, password and query of every URL in it replaced by …."""
    text = re.sub(r"(?<=://)[^/\s'\"]*@", "…@", text)
    return re.sub(r"(://[^?#\s'\"]*\?)[^\s'\"]*", r"\1…", text)


def _check_proxy(name: str, value: str) -> None:
    address = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit("http://"), None
    if not host or parts.scheme.lower() not in ("http", "https", "socks5", "socks5h"):
        raise ConfigError(
            f"{name} is {masked(value)}: not a usable proxy address. "
            f"Expected http://HOST:PORT, https://… or socks5://…. Correct it, or unset {name}."
        )
    if parts.scheme.lower().startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigError(
            f"{name} is {masked(value)}: a SOCKS proxy needs the Python package socksio, which is not installed. "
            f"Install it into this environment, name a proxy of the kind http://HOST:PORT, or unset {name}."
        )


def _check_exceptions(name: str, value: str) -> None:
    """httpx parses each entry as an address; an invalid one breaks every client that reads the variable."""
    for entry in map(_without_brackets, value.split(",")):
        if re.search(r"[\[\]\x00-\x1f\x7f]", entry) or (entry.count(":") > 1 and "/" in entry and "://" not in entry):
            raise ConfigError(
                f"{name} has {entry!r}: not a host name or address. Expected names with commas between them, as in localhost,::1,.example.com."
            )


def _without_brackets(entry: str) -> str:
    """`[::1]` as clients expect it: `::1`."""
    entry = entry.strip(" ")
    return entry[1:-1] if entry.startswith("[") and entry.endswith("]") else entry


def _check_certificates(name: str, path: Path) -> None:
    if name in EITHER and path.is_dir():
        return
    fault = ""
    try:
        ssl.create_default_context(cafile=str(path))
    except ssl.SSLError:
        fault = "holds no certificate in PEM format"
    except (OSError, ValueError) as error:
        fault = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if fault:
        raise ConfigError(f"{name} is {path}, which {fault}. Correct it, or unset {name}.")
