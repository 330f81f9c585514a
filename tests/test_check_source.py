"""`pipeline check` shows what a run would read, by the words of its text, and says in one line where a run would stop."""

import re
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.listing.records import LeftOut
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.sources.layouts import open_source
from pipeline.stages.ingest import run as run_ingest
from pipeline.workspace import source_check
from pipeline.workspace.source_check import bytes_to_unpack, look_at_source, understand
from pipeline.workspace.source_text import Example, Told, Understood, cells_wide, describe, printable, shortened
from tests.dummy_project import call_pipeline, copy_project
from tests.layout_trees import Tree, each
from tests.test_layouts import ingest

CATS = each(6, "cat", "dog")


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return copy_project(template, tmp_path / "project")


def shown(path: Path, columns: int = 0, **settings: Any) -> list[str]:
    """The lines of the text about a source."""
    chosen = ingest(path, **settings)
    return describe(understand(open_source(path, chosen), chosen), columns).splitlines()


def understood(**changes: Any) -> Understood:
    """Ten images each of two classes, without splits, except for the changes."""
    plain = {
        "how": "class folders",
        "settings": "",
        "class_names": ["cat", "dog"],
        "counts": {(None, "cat"): 10, (None, "dog"): 10},
        "examples": [Example("cat/1.jpg", "cat", None, None)],
        "groups": 0,
        "ungrouped": 20,
        "left_out": {},
        "seen": None,
        "test_fraction": 0.2,
        "ignore": [],
        "ignored": 0,
    }
    return Understood(**{**plain, **changes})


def set_source(project: Path, source: Path | str, **parameters: object) -> Paths:
    """A project with another source, and other values of parameters that stand on a line of their own."""
    file = project / "params.yaml"
    lines = file.read_text(encoding="utf-8").splitlines()
    for name, value in {"source": source, **parameters}.items():
        (at,) = [i for i, line in enumerate(lines) if line.startswith(f"  {name}: ")]
        lines[at] = f"  {name}: {value}"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Paths(project)


def test_class_folders_with_splits(tree: Tree) -> None:
    tree.pictures("train/{label}/{i}.jpg", {"ant": 3, "bee": 2, "wasp": 1})
    tree.pictures("val/{label}/{i}.jpg", {"ant": 1, "bee": 1})
    tree.pictures("test/{label}/{i}.jpg", {"ant": 1, "bee": 1, "wasp": 1})
    tree.text("train/ant/video.json", "{}")

    assert shown(tree.root) == [
        "What a run reads (no image is decoded yet):",
        "",
        "  layout  class folders (ingest.format: folders)",
        "  origin  classes from the folders below test/, train/ and val/, splits from the folders",
        "  images  11 of 3 classes",
        "  splits  train 6, validation 2, test 3",
        "",
        "  class  train  validation  test",
        "  ant        3           1     1",
        "  bee        2           1     1",
        "  wasp       1           0     1",
        "",
        "  example          class  split",
        "  train/ant/0.jpg  ant    train",
        "  val/bee/1.jpg    bee    validation",
        "  test/wasp/2.jpg  wasp   test",
        "",
        "  left out  nothing",
        "  not used  1 other file, train/ant/video.json: not an image: JSON",
    ]


def test_a_table_with_groups(tree: Tree) -> None:
    pictures = tree.pictures("a/{i}.png", {"7": 2, "10": 4})
    tree.table("t.csv", "filename,label,patient_id", [(one.path, one.label, f"p{one.n // 2}" if one.i else "") for one in pictures])

    assert shown(tree.root, test_fraction=0.3) == [
        "What a run reads (no image is decoded yet):",
        "",
        "  layout  a table, t.csv (filename, label, patient_id) (ingest.format: table)",
        "  origin  classes from column label of t.csv, groups from column patient_id; 30 % held out as test, by a hash of the pixels or the group",
        "  images  6 of 2 classes",
        "  splits  no test images: a share of 30 % is held out (ingest.test_fraction)",
        "  groups  2, each on one side of every split; images without a group: 1",
        "",
        "  class  images",
        "  7           2",
        "  10          4",
        "",
        "  example  class  group",
        "  a/0.png  7",
        "  a/1.png  10     p0",
        "  a/2.png  7      p0",
        "",
        "  left out  nothing",
    ]


def test_arrays_of_numpy(tree: Tree) -> None:
    pixels = np.zeros((6, 8, 8), np.uint8)
    np.savez(tree.root / "d.npz", x_train=pixels, y_train=[0, 0, 0, 1, 1, 1], x_test=pixels[:2], y_test=[1, 0])

    assert shown(tree.root / "d.npz")[2:] == [
        "  layout  NumPy arrays (ingest.format: npz)",
        "  origin  classes and splits from NumPy arrays",
        "  images  8 of 2 classes",
        "  splits  train 6, test 2",
        "",
        "  class  train  test",
        "  0          3     1",
        "  1          3     1",
        "",
        "  example              class  split",
        "  d.npz/x_train/0.png  0      train",
        "  d.npz/x_train/3.png  1      train",
        "  d.npz/x_test/0.png   1      test",
        "",
        "  left out  nothing",
    ]


def test_images_without_a_label_and_how_much_is_ignored(tree: Tree) -> None:
    tree.pictures("train/{label}/{i}.jpg", CATS)
    tree.unlabelled("test/{i}.jpg", 5)
    tree.stray("docs/{i}.jpg", 2)
    tree.put("train/cat/empty.jpg", b"")

    assert shown(tree.root, ignore=["docs", "*/1.jpg", "*.gif"])[-4:] == [
        "  left out  1 empty file, train/cat/empty.jpg",
        "  not used  4 images without a label, such as test/0.jpg: images without a label, in test",
        "  note      1 glob without a match, *.gif: this glob of ingest.ignore matches nothing in the source",
        "  ignored   docs, */1.jpg, *.gif (ingest.ignore): 3 files and folders",
    ]


def test_a_share_of_the_training_images_is_held_out_beside_a_validation_split(tree: Tree) -> None:
    tree.pictures("train/{label}/{i}.jpg", CATS)
    tree.pictures("val/{label}/{i}.jpg", {"cat": 2, "dog": 1})

    lines = shown(tree.root)

    assert lines[5] == "  splits  train 12, validation 3; of train, a share of 20 % is held out (ingest.test_fraction)"
    assert lines[7:10] == ["  class  train  validation", "  cat        6           2", "  dog        6           1"]
    assert lines[11:15] == [
        "  example          class  split",
        "  train/cat/0.jpg  cat    train or test",
        "  train/dog/1.jpg  dog    train or test",
        "  val/dog/1.jpg    dog    validation",
    ]


def test_images_without_a_split_beside_a_test_split() -> None:
    counts = {("train", "cat"): 4, (None, "cat"): 2, (None, "dog"): 3, ("test", "dog"): 1}

    lines = describe(understood(counts=counts)).splitlines()

    assert lines[4] == "  splits  train 4, no split 5, test 1; of no split, a share of 20 % is held out (ingest.test_fraction)"
    assert lines[6:9] == ["  class  train  no split  test", "  cat        4         2     0", "  dog        0         3     1"]


def test_of_many_classes_the_largest_and_the_smallest_are_shown() -> None:
    names = [f"c{i:02}" for i in range(30)]
    counts = {(None, name): 1000 + i for i, name in enumerate(names)}

    lines = describe(understood(class_names=names, counts=counts)).splitlines()

    table = lines[lines.index("") + 5 :]
    assert lines[3] == "  images  30,435 of 30 classes"
    assert table[:3] == [
        "  largest and smallest classes  images",
        "  c29                            1,029",
        "  c28                            1,028",
    ]
    assert table[7:10] == [
        "  c23                            1,023",
        "  … 16 more, of 1,007 to 1,022 images each",
        "  c06                            1,006",
    ]
    assert table[15:17] == ["  c00                            1,000", ""]


def test_the_classes_between_may_have_one_number_of_images() -> None:
    names = [str(i) for i in range(21)]

    text = describe(understood(class_names=names, counts=dict.fromkeys([(None, name) for name in names], 5)))

    assert "\n  … 7 more, of 5 images each\n" in text
    assert describe(understood(class_names=names[1:], counts=dict.fromkeys([(None, name) for name in names[1:]], 5))).count("more") == 0


def test_lines_fit_the_terminal() -> None:
    long = "Chihuahua_" * 20
    fault = LeftOut("train/cats and dogs/one of them.jpg", "stray", "outside train/ and test/, where nothing says what it shows")
    found = understood(
        class_names=["cat", long],
        counts={("train", "cat"): 12_345, ("test", "cat"): 10, ("train", long): 3},
        examples=[Example(f"train/{long}/0001.jpg", long, "train", "a group with a name of its own")],
        groups=1,
        left_out={"stray": Told(3, fault)},
    )

    lines = describe(found, 60).splitlines()

    assert max(map(len, lines)) <= 60
    assert lines[7:11] == [
        "",
        "  class                                          train  test",
        "  cat                                           12,345    10",
        "  Chihuahua_Chihuahua_Ch…_Chihuahua_Chihuahua_       3     0",
    ]
    assert lines[-3:] == [
        "  left out  3 stray files, such as train/cats and dogs/one",
        "            of them.jpg: outside train/ and test/, where",
        "            nothing says what it shows",
    ]


def test_names_stay_in_their_line_and_column() -> None:
    names = ["猫と犬", "a\tb\nc\x1b[2J\u202e", "e\u0301te\u0301"]

    lines = describe(understood(class_names=names, counts={(None, name): 5 for name in names})).splitlines()

    assert lines[6:10] == [
        "  class                 images",
        "  猫と犬                     5",
        "  a\\tb\\nc\\x1b[2J\\u202e       5",
        "  e\u0301te\u0301                        5",
    ]
    assert [cells_wide(line) for line in lines[6:10]] == [30, 30, 30, 30]


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("train/cat/1.jpg", 15, "train/cat/1.jpg"),
        ("train/cat/1.jpg", 9, "trai….jpg"),
        ("猫と犬の写真", 6, "猫…真"),
        ("猫と犬の写真", 8, "猫と…真"),
    ],
)
def test_what_is_too_long_keeps_its_start_and_end(text: str, width: int, short: str) -> None:
    assert shortened(text, width) == short
    assert cells_wide(short) <= width


def test_emoji_of_several_signs_stay_whole() -> None:
    assert printable("👩\u200d🚀 rocket") == "👩\u200d🚀 rocket"


def test_all_images_are_looked_at_unless_that_takes_long(tree: Tree) -> None:
    pictures = tree.pictures("a/{i}.png", CATS)
    tree.table("t.csv", "filename,label,group", [(one.path, one.label, f"g{one.i}") for one in pictures])
    chosen = ingest(tree.root)

    text = describe(understand(open_source(tree.root, chosen), chosen, seconds=0))

    assert "\n  images  12 of 2 classes\n" in text
    assert "\n  groups  1 or more, each on one side of every split\n" in text
    assert text.endswith("\n  left out  nothing\n            as far as the first 1 image shows; a run looks at all of them")


def test_notes_about_the_source_are_of_no_file_alone() -> None:
    left_out = {
        "other_task": Told(1, LeftOut(".", "other_task", "boxes, which are not read")),
        "system": Told(2, LeftOut("@eaDir", "system", "a hidden folder")),
    }

    assert describe(understood(left_out=left_out)).splitlines()[-3:] == [
        "  left out  nothing",
        "  not used  2 folders of systems and tools, such as @eaDir: a hidden folder",
        "  note      1 annotation for another task: boxes, which are not read",
    ]


def test_a_run_that_would_stop_is_a_line_of_the_table(tree: Tree, project: Path) -> None:
    tree.pictures("photos_2023/{label}/{i}.jpg", CATS)
    tree.pictures("photos_2024/{label}/{i}.jpg", CATS)
    set_source(project, tree.root)

    code, output = call_pipeline(project, "check")

    fixes = [line for line in output.splitlines() if line.startswith("Fix: ")]
    assert code == 2
    assert "! source      a run would stop\n" in output
    assert [line.startswith(f"Fix: ingest.source: {tree.root} can be read in 4 ways: ") for line in fixes] == [True]
    assert "What a run reads" not in output


def test_a_source_without_fault_is_shown_whatever_else_is_wrong(project: Path) -> None:
    code, output = call_pipeline(project, "check", PREFECT_API_URL="nowhere")

    table, text = output.split("\n\n", 1)
    assert code == 2
    assert "✓ source      class folders, 4 images of 2 classes\n" in table
    assert table.splitlines()[-1].startswith("Fix: set it to an address")
    assert text == (
        "What a run reads (no image is decoded yet):\n"
        "\n"
        "  layout  class folders (ingest.format: folders)\n"
        "  origin  classes from the folders; 20 % held out as test, by a hash of the pixels or the group\n"
        "  images  4 of 2 classes\n"
        "  splits  no test images: a share of 20 % is held out (ingest.test_fraction)\n"
        "\n"
        "  class  images\n"
        "  cat         2\n"
        "  dog         2\n"
        "\n"
        "  example    class\n"
        "  cat/0.png  cat\n"
        "  dog/1.png  dog\n"
        "  cat/2.png  cat\n"
        "\n"
        "  left out  nothing\n"
    )
    assert not (project / ".checkpoints").exists()


@pytest.mark.parametrize("source", ["flowers", ".", "data/ingest"])
def test_a_place_that_is_refused_is_told_once(project: Path, source: str) -> None:
    (project / "data" / "ingest").mkdir()
    set_source(project, source)

    code, output = call_pipeline(project, "check")

    assert code == 2
    assert len([line for line in output.splitlines() if line.startswith("Fix: ")]) == 1
    assert " source " not in output.replace("ingest.source", "")


def test_a_source_at_a_url_of_a_store_is_left_to_a_run(project: Path) -> None:
    finding, text = look_at_source(set_source(project, "s3://flowers/flowers.zip"))

    assert (finding.found, finding.fix, text) == ("s3://flowers/flowers.zip is read by a run", "", "")


def pack(tree: Tree) -> Path:
    """A compressed tar of class folders."""
    tree.pictures("{label}/{i}.png", CATS)
    archive = tree.root.parent / "flowers.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tree.root, "flowers")
    return archive


def test_a_compressed_tar_is_unpacked_for_the_check_alone(tree: Tree, project: Path) -> None:
    finding, _ = look_at_source(set_source(project, pack(tree)))

    assert (finding.found, finding.fix) == ("class folders, 12 images of 2 classes", "")
    assert not (project / ".checkpoints").exists()


@pytest.mark.parametrize("place", [lambda archive: archive, lambda archive: archive.parent])
def test_what_takes_long_to_unpack_is_left_to_the_first_run(
    tree: Tree, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    (tmp_path / "downloads").mkdir()
    source = place(pack(tree).rename(tmp_path / "downloads" / "flowers.tar.gz"))
    monkeypatch.setattr(source_check, "MOST_TO_UNPACK_BYTES", 100)

    finding, text = look_at_source(set_source(project, source))

    assert (finding.found, finding.fix, text) == (f"{source} is read at the first run, which unpacks it: 0.0 GiB", "", "")


def test_archives_beside_images_are_not_unpacked(tree: Tree) -> None:
    archive = pack(tree)
    archive.rename(tree.root / archive.name)

    assert bytes_to_unpack(tree.root) == 0


def test_what_takes_time_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(source_check, "SECONDS_BEFORE_A_WORD", 0.0)
    (tmp_path / "flowers.tar").write_bytes(bytes(3 * 2**20))

    said = ""
    with source_check._saying_that_it_takes_time("flowers.tar.gz", tmp_path):
        for _ in range(1000):
            said += capfd.readouterr().err
            if said.endswith("\n"):
                break
            time.sleep(0.01)

    assert said == "check: reading flowers.tar.gz: 0 s, 3 MiB unpacked\n"


@pytest.mark.parametrize(
    ("name", "has_bar", "line"),
    [
        (".flowers.tar.partial", True, ""),  # a bar shows it
        (".flowers.tar.partial", False, "check: reading flowers.tar.gz: 7 s, 1 MiB unpacked"),
        ("flowers.tar", True, "check: reading flowers.tar.gz: 7 s, 1 MiB unpacked"),
    ],
)
def test_a_bar_is_not_interrupted(tmp_path: Path, name: str, has_bar: bool, line: str) -> None:
    (tmp_path / name).write_bytes(bytes(2**20))

    assert source_check._what_is_done("flowers.tar.gz", 7.0, tmp_path, has_bar=has_bar) == line


def test_too_many_files_left_out_are_told_and_each_advice_helps(tree: Tree, project: Path) -> None:
    tree.pictures("{label}/{i}.jpg", CATS)
    for i in range(8):
        tree.put(f"cat/bad_{i}.jpg", b"")

    finding, text = look_at_source(set_source(project, tree.root))
    ignored, _ = look_at_source(set_source(project, tree.root, ignore='["*/bad_*"]'))
    allowed, _ = look_at_source(set_source(project, tree.root, ignore="[]", max_rejected_fraction=0.5))

    assert finding.found == "class folders, 12 images of 2 classes"
    assert finding.fix == (
        "ingest.source: 8 of 20 files would be left out, and ingest.max_rejected_fraction is 0.3: 8 empty files, for example "
        "cat/bad_0.jpg: empty file. Fix them, leave them out on purpose with ingest.ignore, or change that parameter."
    )
    assert text.splitlines()[-1] == "  left out  8 empty files, such as cat/bad_0.jpg"
    assert (ignored.fix, allowed.fix) == ("", "")


def test_groups_that_the_source_divides_are_counted(tree: Tree) -> None:
    pictures = tree.pictures("a/{i}.png", CATS)
    rows = [(one.path, one.label, "test" if one.n % 3 == 0 else "train", f"p{one.n // 2}") for one in pictures]
    tree.table("t.csv", "filename,label,split,patient_id", rows)

    assert "  groups  3, of which 2 are in more than one split (leakage)" in shown(tree.root)
    assert "\n  groups  3, of which 1 is in more than one split (leakage); images" in describe(understood(groups=3, divided_groups=1))


def rename_a_class(tree: Tree) -> None:
    (tree.root / "dog").rename(tree.root / "Dog")


def rename_all_classes(tree: Tree) -> None:
    (tree.root / "dog").rename(tree.root / "ant")
    (tree.root / "cat").rename(tree.root / "bee")


def remove_a_class(tree: Tree) -> None:
    tree.pictures("{label}/{i}.png", each(6, "bird"))
    shutil.rmtree(tree.root / "dog")


@pytest.mark.parametrize("change", [rename_a_class, rename_all_classes, remove_a_class])
def test_classes_that_are_gone_are_told_in_the_words_of_a_run(tree: Tree, project: Path, change: Callable[[Tree], None]) -> None:
    tree.pictures("{label}/{i}.png", CATS)
    paths = set_source(project, tree.root)
    run_ingest(load_config(paths.params), paths, None)
    before, _ = look_at_source(paths)
    change(tree)

    finding, text = look_at_source(paths)

    with pytest.raises(SourceError) as caught:
        run_ingest(load_config(paths.params), paths, None)
    assert (before.found, before.fix) == ("class folders, 12 images of 2 classes", "")
    assert (finding.found, finding.fix) == ("a run would stop", str(caught.value))
    assert "  layout  class folders" in text


def test_a_recorded_data_set_is_said_to_be_compared_by_a_run(tree: Tree, project: Path) -> None:
    tree.pictures("{label}/{i}.png", CATS)
    paths = set_source(project, tree.root)
    new = look_at_source(paths).text
    run_ingest(load_config(paths.params), paths, None)

    known = look_at_source(paths).text

    assert "earlier runs" not in new
    assert "\n  earlier runs  recorded this data set; whether images were replaced or change sides" in known


def test_another_split_than_in_earlier_runs_is_told_before_a_run_stops_at_it(tree: Tree, project: Path) -> None:
    tree.pictures("{label}/{i}.png", CATS)
    paths = set_source(project, tree.root)
    run_ingest(load_config(paths.params), paths, None)
    assert look_at_source(paths).finding.fix == ""
    images = sorted(file.relative_to(tree.root).as_posix() for file in tree.root.rglob("*.png"))
    table = tree.root / "labels.csv"
    rows = [f"{name},{name.split('/')[0]},p{number // 2}" for number, name in enumerate(images)]
    table.write_text("\n".join(["file,label,patient", *rows]), encoding="utf-8")

    by_groups = look_at_source(paths).finding
    columns = look_at_source(set_source(project, tree.root, columns="{group: none}")).finding
    confirmed = look_at_source(set_source(project, tree.root, columns="{group: auto}", moved_images="keep")).finding
    table.unlink()
    for number, name in enumerate(images):
        place = tree.root / ("test" if number % 3 == 0 else "train") / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (tree.root / name).rename(place)
    by_folders = look_at_source(set_source(project, tree.root, moved_images="fail")).finding

    start = "the split came from data/splits.csv in earlier runs and comes from {} now: a run will probably stop, since images change sides"
    assert by_groups.fix.startswith(start.format("column patient"))
    assert "set ingest.moved_images: keep in params.yaml" in by_groups.fix
    assert "for which ingest.columns: {group: none} leaves column patient out" in by_groups.fix
    assert by_folders.fix.startswith(start.format("the folders"))
    assert columns.fix == confirmed.fix == ""


def test_a_split_that_has_been_the_sources_stays_without_a_word_and_is_missed(tree: Tree, project: Path) -> None:
    tree.pictures("train/{label}/{i}.png", CATS)
    tree.pictures("test/{label}/{i}.png", CATS)
    paths = set_source(project, tree.root)
    run_ingest(load_config(paths.params), paths, None)
    assert look_at_source(paths).finding.fix == ""
    shutil.rmtree(tree.root / "test")

    assert look_at_source(paths).finding.fix.startswith("the split came from the source in earlier runs and comes from data/splits.csv now")


def test_another_name_than_the_recorded_ones_is_a_new_data_set_and_said_to_be_one(
    tree: Tree, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree.pictures("{label}/{i}.png", CATS)
    paths = set_source(project, tree.root)
    run_ingest(load_config(paths.params), paths, None)
    renamed = tree.root.rename(tree.root.with_name("pets (1)"))
    capsys.readouterr()
    paths = set_source(project, renamed)
    told = r"nothing is recorded under the name pets-\(1\): a new data set, unless it is one of .* under another name"

    assert re.search(told, look_at_source(paths).text)
    run_ingest(load_config(paths.params), paths, None)
    assert re.search(f"ingest: {told}", capsys.readouterr().err)
    assert "nothing is recorded" not in look_at_source(paths).text


def test_one_file_left_out_is_too_much_if_that_is_asked_for(tree: Tree, project: Path) -> None:
    tree.pictures("{label}/{i}.jpg", CATS)
    tree.put("cat/empty.jpg", b"")

    finding, _ = look_at_source(set_source(project, tree.root, unusable="fail"))

    assert finding.fix == (
        "ingest.source: 1 of 13 files would be left out, and ingest.unusable is fail: 1 empty file, for example cat/empty.jpg: empty file. "
        "Fix them, leave them out on purpose with ingest.ignore, or change that parameter."
    )


def test_what_is_no_image_of_a_class_is_never_too_much(tree: Tree, project: Path) -> None:
    tree.pictures("train/{label}/{i}.jpg", CATS)
    tree.unlabelled("test/{i}.jpg", 40)

    finding, _ = look_at_source(set_source(project, tree.root, unusable="fail"))

    assert finding.fix == ""


def test_nothing_is_said_of_a_source_while_the_parameters_are_wrong(project: Path) -> None:
    finding, text = look_at_source(set_source(project, "source", test_fraction=7))

    assert (finding.found, text) == ("", "")


def test_a_pattern_of_paths_is_named_as_it_is_set(tree: Tree) -> None:
    tree.pictures("{label}_{i}.jpg", CATS)

    assert shown(tree.root, class_from="{class}_*.jpg")[2] == '  layout  classes by {class}_*.jpg (ingest.class_from: "{class}_*.jpg")'


def test_a_verdict_that_stops_a_run_is_named(project: Path) -> None:
    verdicts = project / "data" / "verdicts.csv"
    verdicts.parent.mkdir(exist_ok=True)
    head = "sha256,verdict,label,was,path,reviewer,date\n"
    verdicts.write_text(f"{head}{'a' * 64},change,wood,cat,x.png,,\n", encoding="utf-8")

    code, output = call_pipeline(project, "check")

    assert code == 2
    assert "Fix: data/verdicts.csv:2: x.png is changed to wood, which is no class of the source. " in output
    verdicts.write_text(f"{head}{'a' * 64},chnge,dog,cat,x.png,,\n", encoding="utf-8")
    assert "Fix: " + f"{verdicts}:2: verdict is chnge; expected keep, change, unsure or bad." in call_pipeline(project, "check")[1]


def test_class_names_that_differ_in_case_are_named_and_no_fault(project: Path, tree: Tree) -> None:
    tree.pictures("{label}/{i}.png", each(6, "Cat", "cat", "dog"))
    set_source(project, tree.root)

    code, output = call_pipeline(project, "check")

    assert code == 0
    assert "; names that differ in case, spaces or accents only: Cat and cat\n" in output
