"""A source of images, whatever its layout: found out from what is there, and read only.

The readers are in class_folders.py, archives.py and idx.py. They yield records; the bytes of a file are read later, by whoever needs them.
"""

import tarfile
import zipfile
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.stores.archives import open_tar, open_zip
from pipeline.stores.class_folders import open_folder
from pipeline.stores.idx import find_idx_folder, open_idx
from pipeline.stores.records import LAYOUTS, Source, source_name

__all__ = ["open_source", "source_name"]


def open_source(path: Path) -> Source:
    """The images at `path`. Raises SourceError where there are none, of one class only, or in no known layout."""
    if not path.exists():
        raise SourceError(f"ingest.source: {path} is not there. Set it in params.yaml to a folder or an archive of images.")
    try:
        if path.is_dir():
            idx_folder = find_idx_folder(path)
            return open_idx(idx_folder, path) if idx_folder else open_folder(path)
        if zipfile.is_zipfile(path):
            return open_zip(path)
        if tarfile.is_tarfile(path):
            return open_tar(path)
    except PermissionError as error:
        raise SourceError(f"ingest.source: {error.filename} may not be read. Give yourself the right to.") from None
    raise SourceError(f"ingest.source: {path} is a file, but no archive. Looked for: {LAYOUTS}.")
