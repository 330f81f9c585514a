"""Names in text for people: exact, on one line, and never two alike."""

import json

import pytest
from ruamel.yaml import YAML

from pipeline.names import in_markdown, listed, quoted, shown
from tests.odd_names import ODD_NAMES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cat", "cat"),
        ("None", "None"),
        ("cat, black", "cat, black"),
        ('5" disk', '5" disk'),
        ('"cat"', '"\\"cat\\""'),
        ("back\\slash", "back\\slash"),
        ("line\nfeed", '"line\\nfeed"'),
        ("carriage\rreturn", '"carriage\\rreturn"'),
        ("tab\there", '"tab\\there"'),
        (" cat", '" cat"'),
        ("cat ", '"cat "'),
        ("two  spaces", '"two  spaces"'),
        ("", '""'),
        ("no\u00a0break", '"no\\u00a0break"'),
        ("line\u2028here", '"line\\u2028here"'),
        ("\u202egnp", '"\\u202egnp"'),
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("half \ud83d", '"half \\ud83d"'),
        ("Füße 犬 🐱 👩\u200d🔬", "Füße 犬 🐱 👩\u200d🔬"),
    ],
)
def test_a_name_is_shown_as_it_is_unless_it_could_be_misread(name: str, text: str) -> None:
    assert shown(name) == text


def test_no_two_names_look_alike() -> None:
    names = [*ODD_NAMES, "line feed", "line\\nfeed", '"line\\nfeed"', "carriage return", "tab here", "two spaces"]

    assert len({shown(name) for name in names}) == len(names)
    assert all(len(shown(name).splitlines()) == 1 for name in names)


@pytest.mark.parametrize("name", [*ODD_NAMES, "next\x85line", "\x7f", "line\u2028here"])
def test_json_and_yaml_read_a_quoted_name_back(name: str) -> None:
    assert json.loads(quoted(name)) == name
    assert YAML(typ="safe").load(f"removed_classes: [{quoted(name)}]") == {"removed_classes": [name]}


def test_a_list_says_where_a_name_ends() -> None:
    assert listed(["cat", "dog, brown", "a\nb"]) == 'cat, "dog, brown", "a\\nb"'
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listed(["a", "b"], 2) == "a, b"


def test_markdown_shows_a_name_letter_by_letter() -> None:
    assert in_markdown("a|b*c_d`e<b>$x$\\y [z] & #1 ~~w~~") == r"a\|b\*c\_d\`e\<b\>\$x\$\\y \[z\] \& \#1 \~\~w\~\~"
    assert in_markdown("two  spaces\nhere") == "two &nbsp;spaces here"
