"""What tables say of images: labels, splits and groups; what they contradict each other in is named."""

import json
import pickle
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from tests.source_trees import found, left_out, write_images
from tests.test_layouts import read

IMAGES = ("a.png", "b.png", "c.png", "d.png")
ROWS = "a.png,cat\nb.png,dog\nc.png,cat\nd.png,dog\n"


def table(root: Path, text: str, name: str = "labels.csv") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")
    return root


def labels(root: Path) -> dict[str, str]:
    return {path: label for path, label, _ in found(read(root))}


def test_a_record_says_all_that_the_table_says(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, "path,label,split,patient_id\na.png,cat,Training,7\nb.png,dog,test,\nc.png,dog,,8\nd.png,cat,,\n")

    records = list(read(tmp_path).records)

    size_bytes = (tmp_path / "a.png").stat().st_size
    assert records[0][:5] == ("a.png", "cat", "train", "7", size_bytes)
    assert [record[1:4] for record in records[1:]] == [("dog", "test", None), ("dog", None, "8"), ("cat", None, None)]
    assert pickle.loads(pickle.dumps(records[0])).read() == (tmp_path / "a.png").read_bytes()


def test_without_test_images_those_of_train_have_no_split(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, "path,label,split\na.png,cat,train\nb.png,dog,train\nc.png,cat,val\nd.png,dog,\n")

    assert [split for _, _, split in found(read(tmp_path))] == [None, None, "validation", None]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10", "9"], ["10", "9"]),
        ([10.0, 9.0], ["10", "9"]),
        (["10.0", "9.0"], ["10", "9"]),
        (["010", "10"], ["010", "10"]),
        ([True, False], ["true", "false"]),
        (["007.0", "x"], ["007.0", "x"]),
    ],
)
def test_whole_numbers_are_written_without_a_point(tmp_path: Path, values: list[object], expected: list[str]) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, "\n".join(json.dumps({"path": name, "label": values[i % 2]}) for i, name in enumerate(IMAGES)), "t.jsonl")

    assert list(labels(tmp_path).values()) == expected * 2


def test_a_path_listed_twice_counts_once_and_with_two_labels_not_at_all(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    rows = [
        "a.png,cat,",
        "b.png,dog,",
        "./a.png,cat,",
        "c.png,cat,",
        "c.png,dog,",
        "d.png,dog,test",
        "d.png,dog,train",
    ]  # a.png: equal rows
    table(tmp_path, "path,label,split\n" + "\n".join(rows))

    source = read(tmp_path)

    assert [path for path, _, _ in found(source)] == ["a.png", "b.png"]
    assert {entry for entry in left_out(source) if entry.finding != "unlabelled"} == {
        ("c.png", "conflict", "labels.csv, line 6: listed as dog, and as cat in labels.csv, line 5"),
        ("d.png", "name_clash", "labels.csv, line 8: listed as train, and as test in labels.csv, line 7"),
    }


def test_rows_without_a_label_or_a_path_are_named(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES, "e.png")
    table(tmp_path, f"path,label\n{ROWS}e.png,\n,cat\n")

    assert sorted({entry[:2] for entry in left_out(read(tmp_path))}) == [("e.png", "unlabelled"), ("labels.csv", "stray")]


def test_images_that_no_table_lists_are_named(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES, "e.png")

    assert left_out(read(table(tmp_path, f"path,label\n{ROWS}"))) == [("e.png", "stray", "not listed in labels.csv")]


def test_a_table_that_is_the_source_may_list_a_part_of_the_images_beside_it(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES, "e.png", "other/a.png")
    table(tmp_path, f"path,label\n{ROWS}")

    assert left_out(read(tmp_path / "labels.csv")) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "path,label,split\n\na.png,cat,train\nb.png,dog,fold0\nc.png,dog,test\n",
            r"labels\.csv, line 4: 'fold0' is not a split\. Expected train",
        ),
        (
            f"path,label,label\n{ROWS}".replace("\n", ",x\n").replace("label,x", "label"),
            "several of its columns are called label: rename all but one",
        ),
        ("path,label\na.png,cat\nb.png,cat\nc.png,cat\nd.png,cat\n", "no column of labels"),
        ("path,label\n", "it has no rows"),
        ("picture,kind\nx,cat\ny,dog\nz,cat\n", r"with 3 rows that cannot be matched with the images: none of its columns names an image"),
    ],
)
def test_a_table_that_gives_no_labels_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    write_images(tmp_path, *IMAGES)

    with pytest.raises(SourceError, match=words) as error:
        read(table(tmp_path, text))
    assert "labels.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_columns_that_repeat_a_name_do_not_move_the_others(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, ",,path,label\n" + "".join(f"1,2,{row}\n" for row in ROWS.splitlines()))

    assert labels(tmp_path) == {"a.png": "cat", "b.png": "dog", "c.png": "cat", "d.png": "dog"}


def test_a_split_that_only_late_rows_have_counts(tmp_path: Path) -> None:
    names = [f"i/{i:03d}.png" for i in range(100)]
    write_images(tmp_path, *names)
    rows = [{"file": name, "label": "ab"[i % 2], **({"split": "test"} if i >= 90 else {})} for i, name in enumerate(names)]
    table(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")

    assert [split for _, _, split in found(read(tmp_path))] == [None] * 90 + ["test"] * 10


def test_tables_that_are_called_after_splits_or_lie_in_their_folders_are_read_together(tmp_path: Path) -> None:
    hub, named = tmp_path / "hub", tmp_path / "named"
    write_images(hub, "train/a.png", "train/b.png", "test/a.png", "test/b.png")
    write_images(named, *(f"i/{name}" for name in IMAGES))
    table(hub, "file_name,label\na.png,cat\nb.png,dog\n", "train/metadata.csv")
    table(hub, '{"file_name": "a.png", "label": "dog"}\n{"file_name": "b.png", "label": "cat"}', "test/metadata.jsonl")
    table(named, "path,label\ni/a.png,cat\ni/b.png,dog\n", "train.csv")
    table(named, "path,label\ni/c.png,cat\ni/d.png,dog\n", "test.csv")

    assert found(read(hub)) == [
        ("test/a.png", "dog", "test"),
        ("test/b.png", "cat", "test"),
        ("train/a.png", "cat", "train"),
        ("train/b.png", "dog", "train"),
    ]
    assert found(read(named)) == [
        ("i/a.png", "cat", "train"),
        ("i/b.png", "dog", "train"),
        ("i/c.png", "cat", "test"),
        ("i/d.png", "dog", "test"),
    ]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            "a.png,cat\nb.png,fox\nc.png,cat\n",
            r"two tables give b\.png different labels: dog \(one\.csv, line 3\) and fox \(two\.csv, line 3\)",
        ),
        ("a.png,cat\nb,c.png,dog\n", r"two\.csv, line 3: 3 fields, but the first line has 2"),
    ],
)
def test_tables_that_contradict_each_other_or_are_damaged_are_refused(tmp_path: Path, other: str, words: str) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, f"path,label\n{ROWS}", "one.csv")

    with pytest.raises(SourceError, match=words):
        read(table(tmp_path, f"path,label\n{other}", "two.csv"))


def test_a_table_of_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A test folder that was not downloaded, whose names are those of training images."""
    write_images(tmp_path, *(f"train/{name}" for name in IMAGES))
    table(tmp_path, "path,label\n" + "".join(f"train/{row}\n" for row in ROWS.splitlines()), "train.csv")
    table(tmp_path, "path,label\n" + "".join(f"test/{row}\n" for row in ROWS.splitlines()), "test.csv")

    with pytest.raises(
        SourceError, match=r"none of the files that test\.csv lists is there, for example test/a\.png\. Add them, or leave the table out"
    ):
        read(tmp_path)


def test_images_of_a_list_of_training_and_validation_are_of_validation_where_another_says_so(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, f"path,label\n{ROWS}", "trainval.csv")
    table(tmp_path, "path,label\nc.png,cat\nd.png,dog\n", "val.csv")

    assert [split for _, _, split in found(read(tmp_path))] == [None, None, "validation", "validation"]


def test_a_table_of_one_image_per_class_is_a_list_of_classes_unless_it_is_called_after_a_split(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES, "meta/e.png", "meta/f.png")
    table(tmp_path, f"path,label\n{ROWS}", "train.csv")
    table(tmp_path, "path,label\nmeta/e.png,cat\nmeta/f.png,dog\n", "Meta.csv")
    assert [path for path, _, _ in found(read(tmp_path))] == [*IMAGES]

    (tmp_path / "Meta.csv").rename(tmp_path / "test.csv")
    assert found(read(tmp_path))[-2:] == [("meta/e.png", "cat", "test"), ("meta/f.png", "dog", "test")]


def test_a_table_beside_images_is_read_and_one_about_other_things_is_not(tmp_path: Path) -> None:
    write_images(tmp_path, *(f"images/{name}" for name in IMAGES))
    table(tmp_path, "file_name,label\n" + "".join(f"images/{row}\n" for row in ROWS.splitlines()), "metadata.csv")
    table(tmp_path, "day,loss\n1,2\n", "log.csv")

    assert set(labels(tmp_path).values()) == {"cat", "dog"}


def test_rows_of_boxes_of_one_image_with_the_same_label_count_once(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, "patientId,x,y,width,height,Target\na,,,,,0\nb,1,2,9,9,1\nb,20,30,9,9,1\nc,,,,,0\nd,4,5,9,9,1\n")

    source = read(tmp_path)

    assert [label for _, label, _ in found(source)] == ["0", "1", "0", "1"]
    assert left_out(source) == []


@pytest.mark.parametrize("column", ["clip_id", "Sequence ID", "burst", "plant_id", "studyId", "SubjectID", "participantid", "scene"])
def test_images_of_a_clip_a_plant_or_the_like_are_a_group(tmp_path: Path, column: str) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, f"file,label,{column}\na.png,cat,s1\nb.png,cat,s1\nc.png,dog,s2\nd.png,dog,s2\n")

    assert [record.group for record in read(tmp_path).records] == ["s1", "s1", "s2", "s2"]


def test_the_larger_of_two_groups_counts(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, "file,label,study_id,patient\na.png,cat,s1,p1\nb.png,cat,s2,p1\nc.png,dog,s3,p2\nd.png,dog,s4,p2\n")

    assert [record.group for record in read(tmp_path).records] == ["p1", "p1", "p2", "p2"]


def test_scenes_in_plain_words_are_classes_unless_a_column_is_called_as_labels_are(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, "file,scene\na.png,forest\nb.png,sea\nc.png,forest\nd.png,sea\n")
    assert list(labels(tmp_path).values()) == ["forest", "sea", "forest", "sea"]

    table(tmp_path, "file,animal,label\na.png,bella,ill\nb.png,bella,ill\nc.png,max,well\nd.png,max,well\n")
    assert [record[1:4] for record in read(tmp_path).records] == [("ill", None, "bella")] * 2 + [("well", None, "max")] * 2


def listing(*names: str) -> str:
    return "".join(f"{name}\n" for name in names)


def test_a_list_that_says_neither_label_nor_split_is_named(tmp_path: Path) -> None:
    by_table, by_folders = tmp_path / "table", tmp_path / "folders"
    write_images(by_table, *IMAGES)
    table(by_table, f"path,label\n{ROWS}")
    write_images(by_folders, "cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png")
    for root in (by_table, by_folders):
        table(root, listing(*IMAGES[:3]), "some.txt")
        table(root, json.dumps(IMAGES[:3]), "some.json")
        table(root, "file,width\n" + "".join(f"{name},4\n" for name in IMAGES[:3]), "sizes.csv")

        assert sorted(left_out(read(root))) == [
            (name, "unused_table", "lists 3 images, but says neither label nor split") for name in ("sizes.csv", "some.json", "some.txt")
        ]


def test_lists_of_splits_apply_where_labels_are_in_a_table_and_are_not_named_then(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, f"path,label\n{ROWS}")
    table(tmp_path, listing("a.png", "b.png"), "train_list.txt")
    table(tmp_path, json.dumps({"test": ["c.png"], "val": ["d.png"]}), "held_out.json")

    source = read(tmp_path)

    assert [split for _, _, split in found(source)] == ["train", "train", "test", "validation"]
    assert left_out(source) == []


def test_the_tables_of_numbered_images_are_not_named_if_they_gave_the_splits(tmp_path: Path) -> None:
    names = ["cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png"]
    write_images(tmp_path, *names)
    table(tmp_path, "".join(f"{i} {name}\n" for i, name in enumerate(names, 1)), "images.txt")
    table(tmp_path, "id,is_training\n1,1\n2,0\n3,1\n4,0\n", "train_test_split.csv")

    source = read(tmp_path)

    assert [split for _, _, split in found(source)] == ["train", "test", "train", "test"]
    assert left_out(source) == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("labels.csv", "file,kind,fold\na.png,cat,0\nb.png,dog,1\nc.png,cat,2\nd.png,dog,0\n", "split column is unclear: fold"),
        ("labels.csv", "file,kind,partition\na.png,cat,0\nb.png,dog,1\nc.png,cat,2\nd.png,dog,0\n", "split column is unclear: partition"),
        ("eval_partition.txt", "a.png 0\nb.png 1\nc.png 1\nd.png 0\n", "column 2 may say the split, but 0 and 1 are no words"),
        ("folds.tsv", "a.png\t0\nb.png\t1\nc.png\t1\nd.png\t0\n", "column 2 may say the split"),
    ],
)
def test_numbers_of_splits_or_folds_are_neither_classes_nor_passed_over(tmp_path: Path, name: str, text: str, words: str) -> None:
    write_images(tmp_path, *IMAGES)

    with pytest.raises(SourceError, match=words):
        read(table(tmp_path, text, name))


def test_folds_are_passed_over_if_the_column_of_the_labels_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, "file,label,fold\na.png,cat,0\nb.png,dog,1\nc.png,cat,2\nd.png,dog,0\n")

    assert [label for _, label, _ in found(read(tmp_path, columns={"label": "label"}))] == ["cat", "dog", "cat", "dog"]


def test_splits_that_cannot_be_told_stop_also_beside_a_table_of_labels(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, f"path,label\n{ROWS}")
    table(tmp_path, "path,partition\na.png,0\nb.png,1\nc.png,2\nd.png,0\n", "partition.csv")

    with pytest.raises(SourceError, match=r"partition\.csv, .* partition may say the split, .*labels\.csv: label and path") as stopped:
        read(tmp_path)
    assert 'ingest.ignore: ["partition.csv"]' in str(stopped.value)
    assert {label for _, label, _ in found(read(tmp_path, ignore=["partition.csv"]))} == {"cat", "dog"}


def test_labels_in_a_column_not_called_so_are_in_doubt_beside_a_table_that_may_have_them(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, "path,kind\na.png,cat\nb.png,dog\nc.png,cat\nd.png,dog\n", "kinds.csv")
    table(tmp_path, "path,place,mood\na.png,in,x\nb.png,out,x\nc.png,out,y\nd.png,in,y\n", "notes.csv")

    with pytest.raises(
        SourceError, match=r"may have its labels in kind of kinds\.csv, but also has the table notes\.csv, .* mood and place"
    ):
        read(tmp_path)
    assert {label for _, label, _ in found(read(tmp_path, ignore=["notes.csv"]))} == {"cat", "dog"}


def test_numbers_that_happen_to_name_a_few_images_make_no_table_of_labels(tmp_path: Path) -> None:
    write_images(tmp_path, *(f"{label}/{i + start}.png" for label, start in (("cat", 0), ("dog", 12)) for i in range(12)))
    table(tmp_path, json.dumps({"0": "cat", "1": "dog", "2": "owl"}), "class_names.json")

    source = read(tmp_path)

    assert sum(1 for _ in source.records) == 24


def test_a_table_that_names_no_image_is_shown_by_its_fullest_column(tmp_path: Path) -> None:
    write_images(tmp_path, *(f"{label}/{label}{i}.png" for label in ("cat", "dog") for i in (1, 2)))
    table(tmp_path, ",patient,node\n" + "".join(f"s{i},p{i // 2},{i % 2}\n" for i in range(8)))

    with pytest.raises(
        SourceError, match=r"8 rows .*: none of its columns names an image of the source, for example the column without a name: s0"
    ):
        read(tmp_path)


def test_an_image_without_a_label_is_said_to_be_in_the_table_that_lists_it(tmp_path: Path) -> None:
    write_images(tmp_path, *(f"i/{name}" for name in (*IMAGES, "e.png")))
    table(tmp_path, f"path,label\n{ROWS}")
    table(tmp_path, "path,label\ne.png,cat\n", "sample_submission.csv")

    assert left_out(read(tmp_path)) == [("i/e.png", "unlabelled", "listed in sample_submission.csv without a label")]


def test_all_tables_that_contradict_are_named_with_a_list_to_ignore_that_works(tmp_path: Path) -> None:
    images = [f"{i}.png" for i in range(8)]
    write_images(tmp_path, *images)
    for kind, names in (("fine", ("siamese", "poodle")), ("coarse", ("cat", "dog")), ("size", ("small", "large"))):
        for split, part in (("train", images[:4]), ("test", images[4:])):
            table(tmp_path, "".join(f"{image} {names[i % 2]}\n" for i, image in enumerate(part)), f"{kind}_{split}.txt")

    with pytest.raises(SourceError, match="to go by others, leave these out instead") as stopped:
        read(tmp_path)
    ignored = ["fine_test.txt", "fine_train.txt", "size_test.txt", "size_train.txt"]
    assert f"ingest.ignore: {json.dumps(ignored)}" in str(stopped.value)
    assert [record[1:] for record in found(read(tmp_path, ignore=ignored))] == [
        (label, split) for split in ("train", "test") for label in ("cat", "dog") * 2
    ]


def test_files_that_gave_the_labels_of_samples_are_not_named(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    for name in IMAGES:
        table(tmp_path, "cat" if name < "c" else "dog", name.replace(".png", ".cls"))
    table(tmp_path, "a picture", "a.caption")

    assert [entry.path for entry in left_out(read(tmp_path))] == ["a.caption"]


def test_a_list_of_training_and_validation_goes_with_one_of_the_test(tmp_path: Path) -> None:
    """NIH's chest X-rays."""
    write_images(tmp_path, *IMAGES)
    table(tmp_path, f"image,label\n{ROWS}")
    table(tmp_path, listing("a.png", "b.png"), "train_val_list.txt")
    table(tmp_path, listing("c.png", "d.png"), "test_list.txt")

    assert [split for _, _, split in found(read(tmp_path))] == ["train", "train", "test", "test"]


def test_folds_beside_labels_are_for_a_cross_validation_and_say_nothing_of_the_test(tmp_path: Path) -> None:
    write_images(tmp_path, *IMAGES)
    table(tmp_path, "file,label,fold\na.png,cat,0\nb.png,dog,1\nc.png,cat,2\nd.png,dog,0\n")

    assert labels(tmp_path) == {"a.png": "cat", "b.png": "dog", "c.png": "cat", "d.png": "dog"}


@pytest.mark.parametrize("label", ["Effusion|Mass", "Effusion; Mass", "Effusion | Mass | Nodule", "Effusion;Mass"])
@pytest.mark.parametrize("column", ["Finding Labels", "label", "diagnosis"])
def test_labels_with_a_sign_between_them_are_several_though_no_other_image_has_one_of_them(tmp_path: Path, label: str, column: str) -> None:
    images = [f"{i}.png" for i in range(9)]
    write_images(tmp_path, *images)
    labels = ["No Finding", "Cardiomegaly", label] * 3
    table(tmp_path, f"image,{column}\n" + "".join(f"{image},{one}\n" for image, one in zip(images, labels, strict=True)))

    with pytest.raises(SourceError, match=r"1 of 3 labels in the column .* are made of others") as stopped:
        read(tmp_path)
    assert "ingest.multi_label: combine" in str(stopped.value)
    assert {record[1] for record in found(read(tmp_path, multi_label="combine"))} == {"No Finding", "Cardiomegaly", label}


@pytest.mark.parametrize("label", ["goldfish, Carassius auratus", "Bed & Breakfast", "and/or", "C++", "|"])
def test_a_name_may_have_signs(tmp_path: Path, label: str) -> None:
    images = [f"{i}.png" for i in range(8)]
    write_images(tmp_path, *images)
    table(tmp_path, "image,label\n" + "".join(f'{image},"{(label, "tench")[i % 2]}"\n' for i, image in enumerate(images)))

    assert {record[1] for record in found(read(tmp_path))} == {label, "tench"}
