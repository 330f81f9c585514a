"""What people say of single images counts, is never lost, and stops with file and line where it contradicts itself."""

from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError
from pipeline.labels.verdict import Verdict
from pipeline.labels.verdict_file import add_verdict, read_lines, read_verdicts, take_back
from pipeline.paths import Paths
from tests.sample_images import write_class_folders
from tests.test_ingest import run

HEADER = "sha256,verdict,label,was,path,reviewer,date\n"
A, B = "a" * 64, "b" * 64


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "verdicts.csv"
    path.write_text(header + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_what_is_added_is_found_and_what_is_taken_back_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    changed = Verdict(A, "change", 'a "dog", small', "cat", "cats/1.png", "Ada", "2026-03-02")
    kept = Verdict(B, "keep", was="cat", path="cats/2.png")

    add_verdict(path, changed)
    add_verdict(path, kept)

    assert (
        path.read_text(encoding="utf-8")
        == HEADER + f'{A},change,"a ""dog"", small",cat,cats/1.png,Ada,2026-03-02\n{B},keep,,cat,cats/2.png,,\n'
    )
    assert [(verdict.cells, verdict.line) for verdict in read_lines(path)] == [(changed.cells, 2), (kept.cells, 3)]
    take_back(path, changed)
    assert [verdict.sha256 for verdict in read_lines(path)] == [B]
    take_back(path, changed)
    take_back(path, kept)
    assert path.read_text(encoding="utf-8") == HEADER


def test_a_line_is_added_to_a_file_that_somebody_edited_without_touching_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    before = (HEADER.strip() + "\r\n" + f"{A},bad,,,,,").encode()
    path.write_bytes(before)

    add_verdict(path, Verdict(B, "unsure"))

    assert path.read_bytes() == before + b"\n" + f"{B},unsure,,,,,\n".encode()
    assert [verdict.verdict for verdict in read_verdicts(path).values()] == ["bad", "unsure"]


def test_no_file_is_no_verdict_and_the_optional_columns_may_be_missing(tmp_path: Path) -> None:
    assert read_verdicts(tmp_path / "verdicts.csv") == {}
    path = written(tmp_path, f"{A},bad,,,x.png", header="sha256,verdict,label,was,path\n")
    assert read_verdicts(path) == {A: Verdict(A, "bad", path="x.png", line=2)}


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        pytest.param([f"{A},change,dog,cat,,Ada,", f"{A},change,dog,cat,,Bob,"], ("change", "dog"), id="both say the same"),
        pytest.param([f"{A},change,dog,cat,,,", f"{A},keep,,dog,,,"], ("change", "dog"), id="changed, then confirmed"),
        pytest.param([f"{A},unsure,,cat,,,", f"{A},change,dog,cat,,,"], ("change", "dog"), id="one was unsure, first"),
        pytest.param([f"{A},bad,,cat,,,", f"{A},unsure,,cat,,,"], ("bad", ""), id="one was unsure, last"),
    ],
)
def test_two_verdicts_that_agree_are_one(tmp_path: Path, lines: list[str], kept: tuple[str, str]) -> None:
    (verdict,) = read_verdicts(written(tmp_path, *lines)).values()

    assert (verdict.verdict, verdict.label) == kept


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            [f"{A},change,dog,cat,x.png,,", f"{B},bad,,,,,", f"{A},change,fox,cat,x.png,,"],
            r":4: x.png is fox here, but dog in line 2\. Decide",
        ),
        ([f"{A},keep,,cat,x.png,,", f"{A},bad,,cat,x.png,,"], r":3: x.png is bad here, but cat in line 2\. Decide"),
        (["abc,bad,,,,,"], r":2: sha256 is abc; expected 64 hexadecimal digits"),
        ([f"{A},wrong,,,,,"], r":2: verdict is wrong; expected keep, change, unsure or bad\."),
        ([f"{A},change,,cat,,,"], r":2: the verdict is change, but label is empty"),
        ([f"{A},keep,dog,cat,,,"], r":2: the verdict is keep, but label is dog; only change"),
        ([f"{A},keep,,,,,"], r":2: the verdict is keep, but was is empty"),
        ([f"{A},bad,,,,,yesterday"], r":2: date is yesterday; expected a day"),
        (["", f"{A},bad,,"], r":3: 4 fields; expected the 7 of the first line"),
        ([f'{A},bad,,,"open,,'], r":\d: unexpected end of data"),
    ],
)
def test_a_line_that_cannot_be_right_is_refused_with_its_number(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_verdicts(written(tmp_path, *lines))


@pytest.mark.parametrize(
    "header", ["sha,verdict,label,was,path\n", "sha256,verdict,label\n", "sha256,sha256,verdict,label,was,path\n", "\n"]
)
def test_a_header_that_is_another_one_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(ConfigError, match=r"verdicts.csv:1: the first line is .*\. Expected sha256,verdict,label,was,path,reviewer,date\."):
        read_verdicts(written(tmp_path, f"{A},bad,,,,,", header=header))


class Ingested:
    """A data set of circles, squares and triangles, ingested as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = write_class_folders(folder / "shapes", per_class=10)
        self.paths = Paths(folder / "project")
        self.before = run(folder, self.source)
        self.names = self.before.report["class_names"]

    def image(self, number: int, label: str) -> tuple[str, str]:
        """(path, sha256) of an image of a class."""
        rows = sorted(row["path"] for row in self.before.rows.values() if row["label"] == label)
        return rows[number], self.before.rows[rows[number]]["sha256"]

    def say(self, *verdicts: Verdict) -> None:
        for verdict in verdicts:
            add_verdict(self.paths.verdicts, verdict)


@pytest.fixture
def shapes(tmp_path: Path) -> Ingested:
    return Ingested(tmp_path)


def test_a_verdict_changes_the_label_and_leaves_split_and_source_alone(shapes: Ingested) -> None:
    one, other, *_ = shapes.names
    path, sha256 = shapes.image(0, one)
    kept, kept_sha256 = shapes.image(1, one)
    shapes.say(Verdict(sha256, "change", other, one), Verdict(kept_sha256, "keep", was=one), Verdict("c" * 64, "bad"))

    after = run(shapes.folder, shapes.source)

    assert after.rows[path] == {**shapes.before.rows[path], "label": other}
    assert after.rows[kept] == shapes.before.rows[kept]
    assert {name: sum(split[name] for split in after.report["counts"].values()) for name in (one, other)} == {one: 9, other: 11}
    assert after.report["verdicts"] == {"changed": 1, "left_out": 0}
    assert after.report["digest"] != shapes.before.report["digest"]
    assert "by data/verdicts.csv, 1 image has another class than in the source, and 0 left out" in after.printed
    assert "1 of 3 verdicts in data/verdicts.csv are about images that are not in the source" in after.printed
    page = (shapes.paths.stage("ingest") / "report.html").read_text(encoding="utf-8")
    assert "By data/verdicts.csv, 1 image has another class than in the source." in page
    shard = pq.read_table(next((shapes.paths.stage("ingest") / "images.parquet").glob("*.parquet"))).to_pylist()
    assert next(row["label"] for row in shard if row["path"] == path) == other


def test_a_bad_image_is_left_out_and_named(shapes: Ingested) -> None:
    one = shapes.names[0]
    path, sha256 = shapes.image(0, one)
    shapes.say(Verdict(sha256, "bad", was=one, reviewer="Ada", date="2026-03-02"))

    after = run(shapes.folder, shapes.source, max_rejected_fraction=0.0)

    assert after.rows[path]["split"] is None
    assert after.rejected == [[path, "judged_bad", "called bad in data/verdicts.csv (Ada, 2026-03-02)"]]
    assert after.report["findings"]["judged_bad"] == 1
    assert after.report["verdicts"] == {"changed": 0, "left_out": 1}
    page = (shapes.paths.stage("ingest") / "report.html").read_text(encoding="utf-8")
    assert "By data/verdicts.csv, 1 bad image is left out." in page


def test_verdicts_that_change_nothing_leave_the_outputs_as_they_are(shapes: Ingested) -> None:
    folder = shapes.paths.stage("ingest")
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    one = shapes.names[0]
    shapes.say(Verdict(shapes.image(0, one)[1], "keep", was=one), Verdict(shapes.image(1, one)[1], "unsure", was=one))

    run(shapes.folder, shapes.source)

    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before


def test_copies_with_different_labels_are_no_conflict_once_a_person_has_decided(shapes: Ingested) -> None:
    one, other, *_ = shapes.names
    path, sha256 = shapes.image(0, one)
    (shapes.source / other / "copy.png").write_bytes((shapes.source / path).read_bytes())
    assert run(shapes.folder, shapes.source).report["findings"]["conflict"] == 2

    shapes.say(Verdict(sha256, "change", one, other))
    after = run(shapes.folder, shapes.source)

    assert "conflict" not in after.report["findings"]
    assert {after.rows[name]["label"] for name in (path, f"{other}/copy.png")} == {one}


def test_a_class_that_the_source_does_not_have_stops_with_the_line(shapes: Ingested) -> None:
    one = shapes.names[0]
    path, sha256 = shapes.image(0, one)
    shapes.say(Verdict("c" * 64, "change", "heptagon", one), Verdict(sha256, "change", "hexagon", one, path))

    with pytest.raises(
        ConfigError, match=rf"data/verdicts.csv:3: {path} is changed to hexagon, which is no class of the source\. Its classes are "
    ):
        run(shapes.folder, shapes.source)


@pytest.mark.parametrize("verdict", ["change", "bad"])
def test_a_verdict_with_the_sha256_of_an_image_of_another_class_stops_with_both(
    shapes: Ingested, verdict: Literal["change", "bad"]
) -> None:
    one, other, third = shapes.names
    path, sha256 = shapes.image(0, one)
    shapes.say(Verdict(sha256, verdict, other if verdict == "change" else "", third, "elsewhere.png"))

    with pytest.raises(ConfigError) as refused:
        run(shapes.folder, shapes.source)

    assert str(refused.value) == (
        f"data/verdicts.csv:2: elsewhere.png was {third} when it was judged, but the image with this sha256 is {path}, and {one} in the source. "
        f"If the verdict holds for that image, write {one} for {third}; if not, delete the line."
    )


def test_a_verdict_that_the_source_has_taken_over_or_whose_class_has_another_name_now_is_right(shapes: Ingested) -> None:
    one, other, third = shapes.names
    shapes.say(Verdict(shapes.image(0, one)[1], "change", one, third), Verdict(shapes.image(1, one)[1], "change", other, "round things"))

    assert run(shapes.folder, shapes.source).report["verdicts"] == {"changed": 1, "left_out": 0}
