"""What a text is: a drawing, a saved web page, a table, a pointer to a file that is elsewhere, or words. Bytes in, values out."""

import codecs
import re

from pipeline.images.format_marks import EXPORT, SNIFF_BYTES, Format

# every byte but control characters that no text has
TEXT_BYTES = bytes({7, 8, 9, 10, 12, 13, 27} | set(range(32, 256)) - {127})
LEAST_ASCII = 0.7  # of a text in an unknown 8-bit code page
MARKED = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

TEXT = Format("plain text", "text")
SVG = Format("SVG", "picture", f"{EXPORT} (it is a drawing, not a photograph)")
WEB_PAGE = Format("HTML", "text", "download the image again, this is a web page or an error page saved in its place")
XML = Format("XML", "text")
JSON, JSON_LINES, CSV, TSV = (Format(name, "table") for name in ("JSON", "JSON lines", "CSV", "TSV"))
NOTEBOOK = Format("notebook", "text")
LFS = Format("Git LFS pointer", "other", "run `git lfs pull` in the clone")
ANNEX = Format("git-annex pointer", "other", "run `git annex get .` in the clone")
DVC = Format("DVC pointer", "other", "run `dvc pull` in the project that it belongs to")
DATA_URI = Format("data URI", "text", "decode the base64 text after the comma into a file")
WEB_SHORTCUT = Format("web shortcut", "other", "download the file that it points to")
BITMAP = Format("XBM", "picture", EXPORT)
PICKLE = Format("pickle", "container")

JSON_LINES_SUFFIXES = (".jsonl", ".ndjson")
OF_SUFFIX = {
    **dict.fromkeys((".md", ".markdown", ".rst", ".tex", ".bib"), TEXT),
    **dict.fromkeys((".py", ".r", ".m", ".sh", ".bat", ".js", ".c", ".cpp", ".h", ".java"), Format("code", "text")),
    **dict.fromkeys((".yaml", ".yml", ".toml", ".ini", ".cfg"), Format("settings", "text")),
    ".ipynb": NOTEBOOK,
    ".csv": CSV,
    ".tsv": TSV,
    ".tab": TSV,
    **dict.fromkeys(JSON_LINES_SUFFIXES, JSON_LINES),
}
# Patterns of the start of a text, in lower case, without leading white space; the first that fits counts
BY_CONTENT = tuple(
    (re.compile(pattern, re.DOTALL), found)
    for pattern, found in (
        (r"version https?://[^\n]*(git-lfs|hawser)", LFS),
        (r"(\S*/)?\.git/annex/objects/|/annex/objects/", ANNEX),
        (r"((md5|frozen|wdir|desc|type): [^\n]*\n)*(deps|outs):\n *- *(md5|hash|path|etag|size|checksum|cache):", DVC),
        (r"data:image/[\w.+-]+;base64,", DATA_URI),
        (r"\[internetshortcut\]", WEB_SHORTCUT),
        (r"(/\*[^*]*\*/\s*)?#define \w*_?width \d+", BITMAP),
        (r"(<[?!][^>]*>\s*)*<(\w+:)?svg[\s>]", SVG),
        (r"(<[?!][^>]*>\s*)*<(html|head|body|title|script|div|p)[\s>]|<!doctype html", WEB_PAGE),
        (r"<\?xml|<!doctype |<!--|<[a-z_][\w:.-]*[\s/>]", XML),
        (r'\{\s*"(cells":\s*\[.*"cell_type"|nbformat")', NOTEBOOK),
        (r'\{\s*"[^\n]*\}[ \r]*\n\s*\{', JSON_LINES),
        (r'\{\s*["}]|\[\s*([\[{"\]]|-?\d[\d.e+-]*\s*,)', JSON),
        (r"\((dp|lp)\d*\n|ccopy_reg\n", PICKLE),
    )
)


def text_format(start: bytes, suffix: str = "") -> Format | None:
    """What a text is, by its first bytes and, where these leave it open, by the suffix of its name; None if it is no text."""
    text = _decoded(start)
    if text is None:
        return None
    stripped = text.lstrip().lower()
    found = next((found for pattern, found in BY_CONTENT if pattern.match(stripped)), None)
    if found is None or (found is JSON and suffix in JSON_LINES_SUFFIXES):
        return OF_SUFFIX.get(suffix) or _table(text, len(start) == SNIFF_BYTES) or TEXT
    return found


def _decoded(start: bytes) -> str | None:
    """The text that starts with these bytes, in UTF-8, UTF-16 or an 8-bit code page; None if they are no text."""
    for mark, encoding in MARKED:
        if start.startswith(mark):
            return start.decode(encoding, "ignore")
    if not start or start.translate(None, TEXT_BYTES):
        return None
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(start)  # a character may be cut at the end
    except UnicodeDecodeError:
        ascii_share = sum(byte < 128 for byte in start) / len(start)
        return start.decode("latin-1") if ascii_share >= LEAST_ASCII else None


def _table(text: str, is_cut: bool) -> Format | None:
    """CSV or TSV, if every whole line has the same number of separators, and at least one."""
    lines = [line for line in text.splitlines() if line]
    if is_cut:
        lines = lines[:-1]
    for separator, found in (("\t", TSV), (",", CSV), (";", CSV), ("|", CSV)):
        counts = {line.count(separator) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {0}:
            return found
    return None
