"""Section `ingest`: where the images are, and how problems with them are treated."""

import codecs
import difflib
import os
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from pipeline.params.section import Section

SECRET_IN_QUERY = re.compile(r"signature|token|\bsig=|password|secret", re.IGNORECASE)
Format = Literal["auto", "folders", "table", "webdataset", "parquet", "idx", "npz", "cifar", "tfrecord", "pixels"]
Policy = Literal["reject", "keep", "fail"]
MOST_FOR_TEST = 0.9


def _source_path(source: str) -> str:
    if not source.strip():
        raise ValueError("should be the path of a folder or an archive")
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in source):
        raise ValueError("should be one line of text, without control characters")
    if source.startswith("~"):
        raise ValueError(f"should be an absolute path such as {os.path.expanduser(source)}: ~ is not expanded")  # noqa: PTH111 - never raises
    if re.match(r"file:|local://", source, re.IGNORECASE):
        raise ValueError(
            f"should be a path without {source.split(':')[0]}://, as in {re.sub('^[a-z]+:/*', '/', source, flags=re.IGNORECASE)}"
        )
    url = urlsplit(source) if "://" in source else None
    if url and (url.password or SECRET_IN_QUERY.search(url.query)):
        raise ValueError("should not contain a password or signature, since params.yaml and dvc.lock are kept in git")
    return source


def _class_names(names: object) -> object:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError('should be a list of class names, as in [cat, "7"], or [] for none; quotes make a number a name')
    return names


def _class_from(text: str) -> str:
    """Checked again, with its pattern, by the reader."""
    if text in ("auto", "first_folder", "last_folder", "file_name"):
        return text
    named = re.findall(r"\{(.*?)\}", text)
    meant = text
    for part in named:
        near = difflib.get_close_matches(part.lower(), ["class", "split", "group"], n=1)
        meant = meant.replace(f"{{{part}}}", f"{{{near[0]}}}") if near else meant
    if not named:
        meant = next(iter(difflib.get_close_matches(text.lower(), ["first_folder", "last_folder", "file_name"], n=1)), text)
    hint = f". Did you mean {meant}?" if meant != text and ("{class}" in meant or not named) else ""
    if "class" not in named or len(set(named)) < len(named) or not set(named) <= {"class", "split", "group"}:
        raise ValueError(
            "should be auto, first_folder, last_folder, file_name, or a pattern with {class}, and {split} and {group} where they are, "
            f'as in "{{split}}/{{class}}/*.jpg"{hint}'
        )
    return text


def _globs(patterns: object) -> object:
    if not isinstance(patterns, list | tuple) or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise ValueError('should be a list of globs, as in [docs, "*_mask.png"], or [] for none')
    return patterns


def _encoding(name: str) -> str:
    try:
        found = codecs.lookup(name) if name != "auto" else None
        if found and "a/".encode(found.name) != b"a/":  # not one that extends ASCII, as those of names in archives do
            raise LookupError
    except (LookupError, UnicodeError, ValueError):
        raise ValueError("should be auto, or a code page that Python knows, such as cp437, cp1252, cp932 or gbk") from None
    return found.name if found else name


def _column_or_none(name: object) -> object:
    if not name:
        raise ValueError('should be auto, none (no column has them), or the name of a column; quotes make a number a name, as in "7"')
    return name


class Columns(Section):
    path: str = "auto"
    """auto, or the column of the paths"""
    label: str = "auto"
    """auto, or the column of the classes"""
    split: Annotated[str, BeforeValidator(_column_or_none)] = "auto"
    """auto, none, or the column of train, val and test"""
    group: Annotated[str, BeforeValidator(_column_or_none)] = "auto"
    """auto, none, or the column of what stays together in one split, such as a patient"""


class Ingest(Section):
    source: Annotated[str, AfterValidator(_source_path)]
    """your images, a path or a URL: folders, archives, tables, Parquet, npz, idx (docs/data.md)"""
    format: Format
    """auto (detected), folders, table, webdataset, parquet, idx, npz, cifar, tfrecord or pixels"""
    class_from: Annotated[str, AfterValidator(_class_from)]
    """auto, first_folder, last_folder, file_name (cat.0.jpg), or a pattern of paths, e.g. "{split}/{class}/*.jpg" or "{class}_*.png"; see docs/data.md"""
    columns: Columns
    """columns of the tables: auto, or their names, as in {path: file, label: species}; also split and group, which may be none"""
    multi_label: Literal["fail", "combine"]
    """fail, or combine: labels made of several, such as "scab rust", are classes of their own"""
    placeholder: Policy
    """labels such as TODO, ? or n/a: reject (their images have none), keep (they are classes), or fail (stop)"""
    ignore: Annotated[list[str], BeforeValidator(_globs)]
    """globs of files and folders that are left out, below the source, e.g. [docs, "*_mask.png"]"""
    follow_links: bool
    """true or false: whether links to files and folders are followed"""
    name_encoding: Annotated[str, AfterValidator(_encoding)]
    """auto, or the code page of the names in old archives, e.g. cp437, cp1252, cp932 or gbk"""
    test_fraction: Annotated[float, Field(ge=0.01, le=MOST_FOR_TEST)]
    """0.01 to 0.9: fraction held out for the test if the source has no test images"""
    max_rejected_fraction: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: stop if a larger fraction of the files is left out"""
    unusable: Literal["reject", "fail"]
    """reject or fail: files that cannot be read or decoded, or belong to no class"""
    wrong_type: Policy
    """images whose content does not match their file extension"""
    duplicate: Policy
    """identical images in one class and split; reject keeps one of them"""
    conflict: Policy
    """identical images in several classes (label conflict); reject leaves out all of them"""
    leak: Policy
    """identical images in two splits (leakage); reject leaves them out of train (or else validation)"""
    near_duplicate: Policy
    """resized, recompressed or slightly cropped copies in one class and split"""
    near_conflict: Policy
    """such copies in several classes"""
    near_leak: Policy
    """such copies in two splits; reject leaves them out of train (or else validation)"""
    class_problem: Literal["keep", "fail"]
    """keep or fail: classes that are small, imbalanced, or predictable from size or colour mode"""
    max_pixels: Annotated[int, Field(ge=10_000, le=1_000_000_000)]
    """10000 to 1000000000: images of more pixels (width x height) are left out"""
    removed_classes: Annotated[list[str], BeforeValidator(_class_names)]
    """classes of earlier runs that were removed on purpose, e.g. [fox]; any other missing class stops the run"""
    replaced_images: Literal["fail", "keep"]
    """fail or keep: what to do if all images of the last run are gone, but its classes are still there"""
    moved_images: Literal["fail", "keep"]
    """fail or keep: what to do if images that earlier runs had in train are in test now, or the other way round"""
