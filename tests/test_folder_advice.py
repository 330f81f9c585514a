"""Folders and names of files that say no class by themselves: the stop shows what may be meant, and each way out gives what it says."""

import io
import re
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.layout_trees import Tree, each
from tests.test_layouts import counts, read, stop_of


def pictures(tree: Tree, *paths: str) -> None:
    """A picture at each path, of which nothing is said."""
    for path in paths:
        tree.picture(path, None)


def advised(message: str, setting: str) -> list[Any]:
    """The values that a message advises for a parameter."""
    written = re.findall(rf"ingest\.{setting}: (\[[^]]*\]|\"[^\"]*\"|\w+)", message)
    return [YAML(typ="safe").load(value) for value in written]


def labels(tree: Tree, **settings: Any) -> dict[str, int]:
    """Images by class, whatever their split."""
    found: dict[str, int] = {}
    for of_split in counts(list(read(tree.root, **settings).records)).values():
        for label, count in of_split.items():
            found[label] = found.get(label, 0) + count
    return found


@pytest.mark.parametrize(
    ("names", "first", "alone"),
    [
        (("stage1_{i:03}.png", "stage2_{i:03}.png", "healthy_{i:03}.png"), ("stage1", "stage2", "healthy"), ("healthy", "stage")),
        (("type_1_{i:03}.png", "type_2_{i:03}.png", "normal_{i:03}.png"), ("type_1", "type_2", "normal"), ("normal", "type")),
        (("grade 1 ({i}).png", "grade 2 ({i}).png", "none ({i}).png"), ("grade 1", "grade 2", "none"), ("grade", "none")),
        (("rust_{i:03}.png", "rust2_{i:03}.png", "good_{i:03}.png"), ("rust", "rust2", "good"), ("good", "rust")),
        (("class1-{i}.png", "class2-{i}.png"), ("class1", "class2"), ()),
    ],
    ids=["stages", "with a sign", "in brackets", "with and without a number", "numbers alone"],
)
def test_a_few_numbers_before_another_one_may_be_part_of_the_class(
    tree: Tree, names: Sequence[str], first: Sequence[str], alone: Sequence[str]
) -> None:
    pictures(tree, *(name.format(i=i) for name in names for i in range(1, 7)))

    message = stop_of(tree.root)

    ways = [labels(tree, class_from=text) for text in advised(message, "class_from")]
    assert each(6, *first) in ways, message
    assert not alone or alone == tuple(sorted(ways[-1])), message


@pytest.mark.parametrize(
    "names",
    [
        ("covid19_{i:03}.png", "normal_{i:03}.png"),
        ("cat_{i:03}_1.png", "cat_{i:03}_2.png", "dog_{i:03}_1.png"),
        ("cat_2024-01-01_{i}.png", "cat_2024-01-02_{i}.png", "dog_2024-01-01_{i}.png"),
        ("cat{i}.png", "cat{i} (1).png", "dog{i}.png"),
        ("cat_2023_{i}.png", "cat_2024_{i}.png", "dog_2023_{i}.png"),
    ],
    ids=["one number", "views of many", "dates", "copies", "years"],
)
def test_other_numbers_are_no_part_of_the_class(tree: Tree, names: Sequence[str]) -> None:
    pictures(tree, *(name.format(i=i) for name in names for i in range(1, 9)))

    assert set(labels(tree)) == {re.split(r"[^a-z]", name)[0] for name in names}


@pytest.mark.parametrize(
    "odd",
    [
        "aussortiert",
        "à trier",
        "löschen",
        "delete",
        "not sure",
        "doubtful",
        "blurry",
        "misc",
        "ToDelete",
        "_to delete_",
        "Not_Sure",
        "unscharf",
        "por clasificar",
        "00_zu prüfen",
        "maybe 2",
    ],
)
def test_a_folder_of_what_is_not_sorted_or_no_good_is_no_class_without_a_word(tree: Tree, odd: str) -> None:
    pictures(tree, *(f"{name}/{i}.jpg" for name in ("cat", "dog", odd) for i in range(6)))

    message = stop_of(tree.root)

    assert odd in message
    assert labels(tree, ignore=advised(message, "ignore")[0]) == each(6, "cat", "dog")
    assert labels(tree, class_from="first_folder") == each(6, "cat", "dog", odd)


@pytest.mark.parametrize(
    "names", [("blurry", "sharp"), ("defocused_blurred", "motion_blurred", "sharp"), ("good", "blurry", "dark"), ("nothing", "space", "A")]
)
def test_folders_that_say_how_good_pictures_are_can_be_classes(tree: Tree, names: Sequence[str]) -> None:
    pictures(tree, *(f"{name}/{i}.jpg" for name in names for i in range(6)))

    assert labels(tree) == each(6, *names)


@pytest.mark.parametrize("version", ["thumbs", "Thumbnails", "CROPPED", "preview", "verkleinert", "augmented"])
@pytest.mark.parametrize("where", ["{label}/", "train/{label}/", "{label}/{label}/"], ids=["in the class", "in splits", "doubled"])
def test_versions_of_the_images_of_a_class_in_a_folder_below_it_stop(tree: Tree, version: str, where: str) -> None:
    folders = [where.format(label=label) for label in ("cat", "dog")]
    pictures(
        tree,
        *(f"{folder}{i}.jpg" for folder in folders for i in range(6)),
        *(f"{folder}{version}/{i}.jpg" for folder in folders for i in range(6)),
    )

    message = stop_of(tree.root)

    assert f"hold {version}/" in message
    assert labels(tree, ignore=advised(message, "ignore")[0]) == each(6, "cat", "dog")
    assert labels(tree, class_from="first_folder") == each(12, "cat", "dog")


def test_two_versions_below_the_classes_stop_and_one_can_be_chosen(tree: Tree) -> None:
    pictures(tree, *(f"{label}/{version}/{i}.jpg" for label in ("cat", "dog") for version in ("original", "resized") for i in range(6)))

    message = stop_of(tree.root)

    assert advised(message, "ignore") == [["*/resized"], ["*/original"]]
    assert labels(tree, ignore=["*/resized"]) == each(6, "cat", "dog")


def test_classes_of_one_version_only_are_read(tree: Tree) -> None:
    pictures(tree, *(f"{label}/cropped/{i}.jpg" for label in ("cat", "dog") for i in range(6)))

    assert labels(tree) == each(6, "cat", "dog")


def test_a_folder_of_the_same_name_in_that_of_a_class_is_no_other_class(tree: Tree) -> None:
    pictures(tree, *(f"{label}/{label}/{i}.jpg" for label in ("cat", "dog") for i in range(6)))

    assert labels(tree) == each(6, "cat", "dog")


def scenes(tree: Tree, where: str, version: str) -> None:
    """Pictures of a few areas of grey, and smaller ones of the same."""
    for label in ("cat", "dog"):
        for i in range(6):
            picture = Image.open(io.BytesIO(tree.draw())).resize((4, 4)).resize((40, 40), Image.Resampling.BICUBIC)
            for path, side in ((where, 40), (version, 12)):
                buffer = io.BytesIO()
                picture.resize((side, side)).save(buffer, "PNG")
                tree.put(path.format(label=label, i=i), buffer.getvalue())


@pytest.mark.parametrize(
    "version",
    ["{label}/web/{label}_{i}.png", "{label}/{label}_{i}_small.png", "{label}/{label}_{i}-thumb.png"],
)
def test_smaller_versions_of_the_images_are_found_by_their_names_and_looks(tree: Tree, version: str) -> None:
    scenes(tree, "{label}/{label}_{i}.png", version)

    message = stop_of(tree.root)

    assert labels(tree, ignore=advised(message, "ignore")[0]) == each(6, "cat", "dog"), message


@pytest.mark.parametrize("other", ["{label}/web/{i}.png", "{label}/{i}_small.png"])
def test_other_images_with_such_names_are_images(tree: Tree, other: str) -> None:
    pictures(tree, *(path.format(label=label, i=i) for label in ("cat", "dog") for i in range(6) for path in ("{label}/{i}.png", other)))

    assert labels(tree) == each(12, "cat", "dog")


def test_no_class_is_made_of_a_folder_that_only_holds_images(tree: Tree) -> None:
    pictures(tree, *(f"one/one/JPEGImages/{i}.jpg" for i in range(6)))
    pictures(
        tree,
        *(
            f"two/images/{split}/{label}/{i}.jpg"
            for split in ("TRAIN", "TEST", "TEST_SIMPLE")
            for label in ("cat", "dog")
            for i in range(3)
        ),
    )

    message = stop_of(tree.root)

    assert "last_folder" not in message
    assert '/two"' in message


def test_folders_of_a_set_with_a_split_in_their_names_are_not_advised_as_classes(tree: Tree) -> None:
    pictures(
        tree, *(f"{name}/{person:04}_c1s{i}_00.jpg" for name in ("box_train", "box_test", "query") for person in (2, 7) for i in range(4))
    )

    assert "first_folder" not in stop_of(tree.root)


def test_classes_of_two_levels_show_which_of_them_would_be_merged(tree: Tree) -> None:
    folders = ("a/abbey", "a/apse/indoor", "b/bakery/shop", "c/church/indoor", "c/church/outdoor")
    pictures(tree, *(f"SUN397/{folder}/{i}.jpg" for folder in folders for i in range(4)))

    message = stop_of(tree.root)

    assert "indoor is then one class of a/apse/indoor and c/church/indoor" in message
    assert {"abbey": 4, "apse": 4, "bakery": 4, "church": 8} in [labels(tree, class_from=text) for text in advised(message, "class_from")]


def test_studies_with_a_number_are_no_classes_and_patients_stay_together(tree: Tree) -> None:
    for split in ("train", "valid"):
        for part in ("XR_ELBOW", "XR_HAND"):
            for person in range(4):
                sign = ("negative", "positive")[person % 2]
                study = f"MURA/{split}/{part}/patient{person + 10 * (split == 'valid'):05}/study{1 + person // 2}_{sign}"
                pictures(tree, *(f"{study}/image{i}.png" for i in range(2)))

    message = stop_of(tree.root)

    assert "last_folder" not in message
    records = list(read(tree.root, class_from=advised(message, "class_from")[-1]).records)
    assert {record.label for record in records} == {"negative", "positive"}
    assert len({record.group for record in records}) == 8
    assert {record.split for record in records} == {None, "validation"}


@pytest.mark.parametrize("settings", [{"class_from": "last_folder"}, {"class_from": "{class}/*"}, {"format": "folders"}], ids=str)
def test_a_table_that_is_not_read_since_folders_are_wanted_is_a_finding(tree: Tree, settings: dict[str, Any]) -> None:
    pictures(tree, *(f"x/{label}/{i}.jpg" for label in ("cat", "dog") for i in range(3)))
    tree.table("x/studies.csv", "path,label", [("x/cat/0.jpg", 1)])
    tree.table("sizes.tsv", "width,height", [(1, 2)])
    source = read(tree.root, **settings)
    list(source.records)

    notes = {fault.path: fault.reason for fault in source.left_out if fault.finding == "unused_table"}

    assert notes.keys() == {"x/studies.csv", "sizes.tsv"}
    assert all(str(value) in notes["sizes.tsv"] for value in settings.values())


def test_groups_by_the_names_of_roboflow_are_named_and_advise_no_others(tree: Tree) -> None:
    names = [f"{label}/{label}-{i}_jpg.rf.{i:08x}{copy:08x}.jpg" for label in ("ripe", "unripe") for i in range(4) for copy in range(3)]
    pictures(tree, *(f"train/{name}" for name in names))
    source = read(tree.root)

    assert len({record.group for record in source.records}) == 8
    assert source.reading
    assert "groups from the names of the files" in source.reading.origin_of_all(0.2)
    assert not [fault for fault in source.left_out if fault.finding == "series"]


def test_a_few_pictures_in_a_folder_called_docs_are_named_and_can_be_a_class(tree: Tree) -> None:
    pictures(
        tree, *(f"{label}/{label}_{i}.jpg" for label in ("invoice", "letter") for i in range(30)), *(f"docs/{i}.jpg" for i in range(4))
    )
    source = read(tree.root)
    list(source.records)

    reasons = {fault.reason for fault in source.left_out if fault.path.startswith("docs/")}

    assert len(reasons) == 1
    assert "docs/" in min(reasons)
    assert labels(tree, class_from=advised(min(reasons), "class_from")[0]) == {"invoice": 30, "letter": 30, "docs": 4}


def test_a_hidden_folder_is_named_with_what_to_do_if_it_is_a_class(tree: Tree) -> None:
    pictures(tree, *(f"{label}/{i}.jpg" for label in ("java", "rust", ".net") for i in range(3)))

    assert [fault for fault in read(tree.root).left_out if fault.path == ".net" and "rename it if it is a class" in fault.reason]


def test_a_split_with_classes_of_its_own_can_be_read_alone(tree: Tree) -> None:
    pictures(tree, *(f"bottle/train/good/{i}.png" for i in range(6)))
    pictures(tree, *(f"bottle/test/{label}/{i}.png" for label in ("good", "broken", "dirty") for i in range(4)))

    message = stop_of(tree.root)

    assert 'ingest.source: "SOURCE/bottle/test"' in message
    assert counts(list(read(tree.root / "bottle" / "test").records)) == {"none": each(4, "good", "broken", "dirty")}


def test_classes_without_training_images_are_all_named_to_be_left_out(tree: Tree) -> None:
    pictures(tree, *(f"train/{label}/{i}.png" for label in ("cat", "dog") for i in range(6)))
    pictures(tree, *(f"test/{label}/{i}.png" for label in ("cat", "dog", "elk", "fox") for i in range(2)))

    message = stop_of(tree.root)

    assert advised(message, "ignore") == [["test/elk", "test/fox"]]
    assert labels(tree, ignore=["test/elk", "test/fox"]) == each(8, "cat", "dog")


def test_tables_with_classes_of_one_split_say_how_to_split_anew(tree: Tree) -> None:
    for split, names in (("train", ("cat", "dog")), ("test", ("elk", "fox"))):
        rows = [(f"{name}{i}.jpg", name) for name in names for i in range(4)]
        pictures(tree, *(f"images/{path}" for path, _ in rows))
        tree.table(f"{split}.csv", "filename,label", rows)

    assert "in one whose name says no split" in stop_of(tree.root)


def test_images_on_which_two_people_disagree_can_be_left_out(tree: Tree) -> None:
    tasks = []
    for i in range(16):
        pictures(tree, f"images/IMG_{i}.jpg")
        said = [("cat", "dog")[i % 2], ("cat", "dog")[(i + (i in (5, 8))) % 2]]
        results = [
            {"id": k, "result": [{"value": {"choices": [label]}, "type": "choices", "from_name": "choice"}]} for k, label in enumerate(said)
        ]
        tasks.append({"id": i, "annotations": results, "data": {"image": f"/data/upload/1/IMG_{i}.jpg"}})
    tree.json("project.json", tasks)

    message = stop_of(tree.root)

    assert "and for 1 more image." in message
    assert labels(tree, ignore=advised(message, "ignore")[0]) == each(7, "cat", "dog")


def test_numbered_folders_called_after_their_classes_are_no_classes(tree: Tree) -> None:
    pictures(tree, *(f"{label}/v_{label}_g{i:02}_c01/frame{k}.jpg" for label in ("running", "walking") for i in range(3) for k in range(3)))

    assert advised(stop_of(tree.root), "class_from") == ["first_folder", "{class}/{group}/*"]


def test_a_set_that_is_there_twice_in_other_case_can_be_read_once(tree: Tree) -> None:
    for top in ("DATASET", "dataset/DATASET"):
        pictures(tree, *(f"{top}/{split}/{label}/{i}.jpg" for split in ("TRAIN", "TEST") for label in "OR" for i in range(4)))

    message = stop_of(tree.root)

    assert "{group}" not in message
    assert labels(tree, ignore=advised(message, "ignore")[0]) == each(8, "O", "R")


def test_images_that_are_there_twice_can_be_taken_from_one_folder(tree: Tree) -> None:
    rows = [(f"ISIC_{i}", ("nv", "mel")[i % 2]) for i in range(12)]
    for start in ("HAM", "ham"):
        pictures(tree, *(f"{start}_images/{name}.jpg" for name, _ in rows))
    tree.table("metadata.csv", "image_id,dx", rows)

    message = stop_of(tree.root)

    assert advised(message, "ignore") == [["ham_images"], ["HAM_images"]]
    assert labels(tree, ignore=["ham_images"]) == each(6, "nv", "mel")


def test_a_stop_says_what_is_beside_the_images_once_and_in_the_right_number(tree: Tree) -> None:
    pictures(tree, *(f"train/{i}.png" for i in range(6)))
    tree.put("train/digitStruct.mat", b"MATLAB 7.3 MAT-file" + bytes(300))
    tree.put("train/about.xyz", b"about")

    message = stop_of(tree.root)

    assert "1 .xyz file" in message
    assert "1 .xyz files" not in message
    assert message.count(".mat") == 1


def test_several_second_folders_of_classes_are_not_all_moved_into_one(tree: Tree) -> None:
    pictures(tree, *(f"{label}/{i}.jpg" for label in ("Hund", "Katze", "Hund (2)", "Katze - Kopie") for i in range(3)))

    assert "move the images of each into the folder of its class" in stop_of(tree.root)
