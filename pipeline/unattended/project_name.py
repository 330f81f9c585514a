"""A name for one project among all that share a Prefect server: `flowers-1a2b3c4d`, the folder's name and a hash of where it is.

The hash is of the machine's name and the folder's whole path: clones, copies and projects of the same name on other machines stay apart. A
project that is moved gets another name.
"""

import hashlib
import re
import socket
import unicodedata
from pathlib import Path

LONGEST = 40


def project_name(root: Path, machine: str | None = None) -> str:
    """Lower-case letters, digits and dashes only, as Prefect wants the keys of its artifacts."""
    place = f"{machine or socket.gethostname()}:{root.resolve()}"
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    plain = unicodedata.normalize("NFKD", root.resolve().name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower())[:LONGEST].strip("-")
    return f"{slug or 'project'}-{digest}"
