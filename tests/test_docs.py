"""The documentation as files: lines that fit a terminal, links and anchors that lead somewhere, every page within reach of the README."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST_LINE = 120
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """A page without its blocks of code, in which `#` begins no heading and brackets are no links."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """The targets of inline links, pictures and link definitions, but for those with a scheme such as https:."""
    text = re.sub(r"`[^`]*`", "", prose(page))
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, flags=re.MULTILINE)
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(target: str, page: Path) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return file.exists() and (not anchor or anchor in anchors(file))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_line_fits_a_terminal(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()

    assert [f"{name_of(page)}:{number}" for number, line in enumerate(lines, 1) if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_anchors_resolve(page: Path) -> None:
    assert [target for target in links(page) if not leads_somewhere(target, page)] == []


def test_the_readme_links_to_every_page() -> None:
    linked = {target.partition("#")[0] for target in links(ROOT / "README.md")}

    assert {name_of(page) for page in PAGES} - {"README.md"} - linked == set()


def test_pages_that_code_and_configuration_name_exist() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.yaml", "*.toml", "*.j2", "Makefile"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name and not name.startswith("tests/")]
    named = {target for file in files if file.is_file() for target in re.findall(r"docs/[\w-]+\.md(?:#[\w-]+)?", file.read_text("utf-8"))}

    assert "docs/models.md" in named
    assert [target for target in sorted(named) if not leads_somewhere(target, ROOT / "README.md")] == []
