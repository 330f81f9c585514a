"""Well-known data sets whose classes stand in a table."""

import base64
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.layout_trees import Picture, Tree, each, mask, reads, reads_or_stops, right, stops

PARTS = ("test", "train", "val")
HEALTHY = each(6, "bacterial_blight", "healthy", "rust")
NUMBERS = each(6, "0", "1", "2")


def stem(picture: Picture) -> str:
    return picture.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def file(picture: Picture) -> str:
    return picture.path.rsplit("/", 1)[-1]


@reads(none=NUMBERS, naming={"0": "Cassava Bacterial Blight (CBB)", "1": "Cassava Brown Streak Disease (CBSD)", "2": "Healthy"})
def cassava(tree: Tree) -> None:
    """train_images/1000015157.jpg, test_images/2216849948.jpg, train.csv (image_id,label), sample_submission.csv (image_id,label with one row),
    label_num_to_disease_map.json: the table decides; pictures of the test have no label."""
    pictures = tree.pictures("train_images/10000{i:05}.jpg", NUMBERS)
    tree.table("train.csv", "image_id,label", [(file(one), one.label) for one in pictures])
    tree.unlabelled("test_images/22168499{i:02}.jpg", 4)
    tree.table("sample_submission.csv", "image_id,label", [("2216849900.jpg", 4)])
    names = ("Cassava Bacterial Blight (CBB)", "Cassava Brown Streak Disease (CBSD)", "Healthy")
    tree.json("label_num_to_disease_map.json", {str(i): name for i, name in enumerate(names)})


@reads(none=HEALTHY)
def plant_pathology(tree: Tree) -> None:
    """train_images/, test_images/, train.csv (image,labels), sample_submission.csv (image,labels: `healthy` in each row): a submission, whose
    pictures are those of the test and whose label is one, is no table of labels."""
    pictures = tree.pictures("train_images/{i:016x}.jpg", HEALTHY)
    tree.table("train.csv", "image,labels", [(file(one), one.label) for one in pictures])
    test = tree.unlabelled("test_images/{i:016x}.jpg", 5, start=900)
    tree.table("sample_submission.csv", "image,labels", [(path.split("/")[1], "healthy") for path in test])


@reads(none=each(6, "0", "1", "2"))
def aptos(tree: Tree) -> None:
    """APTOS 2019: train_images/000c1434d8d7.png, train.csv (id_code,diagnosis), test.csv (id_code), sample_submission.csv (id_code,diagnosis 0)."""
    pictures = tree.pictures("train_images/{i:012x}.png", NUMBERS)
    tree.table("train.csv", "id_code,diagnosis", [(stem(one), one.label) for one in pictures])
    test = tree.unlabelled("test_images/{i:012x}.png", 5, start=900)
    tree.table("test.csv", "id_code", [(Path(path).stem,) for path in test])
    tree.table("sample_submission.csv", "id_code,diagnosis", [(Path(path).stem, 0) for path in test])


DOGS = each(5, "affenpinscher", "beagle", "boston_bull")


@reads(none=DOGS)
def dog_breeds(tree: Tree) -> None:
    """Kaggle's dog breeds: train/000bec18.jpg, test/000621fb.jpg, labels.csv (id,breed), sample_submission.csv (id and a column per breed,
    with the same fraction in each)."""
    pictures = tree.pictures("train/{i:032x}.jpg", DOGS)
    tree.table("labels.csv", "id,breed", [(stem(one), one.label) for one in pictures])
    test = tree.unlabelled("test/{i:032x}.jpg", 5, start=900)
    tree.table("sample_submission.csv", "id,affenpinscher,beagle,boston_bull", [(Path(path).stem, *[1 / 3] * 3) for path in test])


WHALES = each(4, "new_whale", "w_1287fbc", "w_98baff9", "w_7554f44")


@reads(none=WHALES)
def humpback_whales(tree: Tree) -> None:
    """train/0000e88ab.jpg, test/, train.csv (Image,Id): here Id is the class, as the files show."""
    pictures = tree.pictures("train/{i:09x}.jpg", WHALES)
    tree.table("train.csv", "Image,Id", [(file(one), one.label) for one in pictures])
    test = tree.unlabelled("test/{i:09x}.jpg", 5, start=900)
    tree.table(
        "sample_submission.csv", "Image,Id", [(path.split("/")[1], "new_whale w_23a388d w_9b5109b w_9c506f6 w_0369a5c") for path in test]
    )


@reads(none=each(6, "0", "1"))
def aerial_cactus(tree: Tree) -> None:
    """train/train/0004be2c.jpg, test/test/, train.csv (id,has_cactus), sample_submission.csv (id,has_cactus 0.5)."""
    pictures = tree.pictures("train/train/{i:032x}.jpg", each(6, "0", "1"))
    tree.table("train.csv", "id,has_cactus", [(file(one), one.label) for one in pictures])
    test = tree.unlabelled("test/test/{i:032x}.jpg", 5, start=900)
    tree.table("sample_submission.csv", "id,has_cactus", [(path.split("/")[-1], 0.5) for path in test])


@reads(none=each(6, "0", "1"))
def histopathologic_cancer(tree: Tree) -> None:
    """train/f38a6374.tif, test/, train_labels.csv (id,label), sample_submission.csv (id,label 0)."""
    pictures = tree.pictures("train/{i:040x}.tif", each(6, "0", "1"))
    tree.table("train_labels.csv", "id,label", [(stem(one), one.label) for one in pictures])
    test = tree.unlabelled("test/{i:040x}.tif", 5, start=900)
    tree.table("sample_submission.csv", "id,label", [(Path(path).stem, 0) for path in test])


@reads(none=each(6, "0", "1", "4"))
def diabetic_retinopathy(tree: Tree) -> None:
    """train/10_left.jpeg, trainLabels.csv (image,level)."""
    pictures = [
        one
        for side in ("left", "right")
        for one in tree.pictures(f"train/{{i}}_{side}.jpeg", each(3, "0", "1", "4"), start=10 if side == "left" else 60)
    ]
    tree.table("trainLabels.csv", "image,level", [(stem(one), one.label) for one in pictures])


@reads(none=each(6, "0", "1"))
def invasive_species(tree: Tree) -> None:
    """train/1.jpg, test/1.jpg, train_labels.csv (name,invasive), sample_submission.csv (name,invasive 0.5): the same names in both folders; the
    table of the training labels speaks of train/."""
    pictures = tree.pictures("train/{i}.jpg", each(6, "0", "1"), start=1)
    tree.table("train_labels.csv", "name,invasive", [(one.i, one.label) for one in pictures])
    tree.unlabelled("test/{i}.jpg", 6, start=1)
    tree.table("sample_submission.csv", "name,invasive", [(i, 0.5) for i in range(1, 7)])


MOTHS = each(5, "ADONIS", "MONARCH", "PEACOCK")


@reads(none=MOTHS)
def butterflies(tree: Tree) -> None:
    """train/Image_1.jpg, test/Image_1.jpg, Training_set.csv (filename,label), Testing_set.csv (filename): the same names in both folders."""
    pictures = tree.pictures("train/Image_{i}.jpg", MOTHS, start=1)
    tree.table("Training_set.csv", "filename,label", [(file(one), one.label) for one in pictures])
    test = tree.unlabelled("test/Image_{i}.jpg", 6, start=1)
    tree.table("Testing_set.csv", "filename", [(path.split("/")[1],) for path in test])


LEAVES = each(5, "Acer_Opalus", "Quercus_Rubra", "Tilia_Tomentosa")


@reads(none=LEAVES)
def leaf_classification(tree: Tree) -> None:
    """images/1.jpg of train and test alike, train.csv (id,species,margin1,…: 192 measures), test.csv (the same without species),
    sample_submission.csv (id and a column per species with fractions)."""
    pictures = tree.pictures("images/{i}.jpg", LEAVES, start=1)
    measures = ",".join(f"{kind}{i}" for kind in ("margin", "shape", "texture") for i in range(1, 6))
    tree.table("train.csv", f"id,species,{measures}", [(one.i, one.label, *[one.i / 1000] * 15) for one in pictures])
    tree.unlabelled("images/{i}.jpg", 5, start=50)
    tree.table("test.csv", f"id,{measures}", [(i, *[0.0078] * 15) for i in range(50, 55)])
    tree.table("sample_submission.csv", f"id,{','.join(LEAVES)}", [(i, *[0.3333] * 3) for i in range(50, 55)])


@reads(none=HEALTHY)
def paddy_disease(tree: Tree) -> None:
    """train_images/bacterial_blight/100001.jpg, test_images/200001.jpg, train.csv (image_id,label,variety,age): folders and table say the same."""
    pictures = tree.pictures("train_images/{label}/1{i:05}.jpg", HEALTHY)
    tree.table(
        "train.csv",
        "image_id,label,variety,age",
        [(file(one), one.label, ("ADT45", "IR20")[one.i % 2], 45 + one.i % 9) for one in pictures],
    )
    test = tree.unlabelled("test_images/2{i:05}.jpg", 5)
    tree.table("sample_submission.csv", "image_id,label", [(path.split("/")[1], "") for path in test])


SPOTS = each(5, "healthy", "multiple_diseases", "rust", "scab")


@reads(none=SPOTS)
def plant_pathology_2020(tree: Tree) -> None:
    """images/Train_0.jpg, images/Test_0.jpg, train.csv (image_id,healthy,multiple_diseases,rust,scab of 0 and 1), test.csv (image_id),
    sample_submission.csv (0.25 everywhere)."""
    pictures = tree.pictures("images/Train_{i}.jpg", SPOTS)
    header = f"image_id,{','.join(SPOTS)}"
    tree.table("train.csv", header, [(stem(one), *(int(name == one.label) for name in SPOTS)) for one in pictures])
    test = tree.unlabelled("images/Test_{i}.jpg", 6)
    tree.table("test.csv", "image_id", [(Path(path).stem,) for path in test])
    tree.table("sample_submission.csv", header, [(Path(path).stem, *[0.25] * 4) for path in test])


LESIONS = each(6, "bkl", "mel", "nv")


def _ham(tree: Tree, folders: tuple[str, str], metadata: str) -> None:
    pictures = []
    for k, folder in enumerate(folders):
        pictures += tree.pictures(
            f"{folder}/ISIC_{{i:07}}.jpg", each(3, *LESIONS), start=24306 + 50 * k, group=lambda one: f"{one.label}{one.n // 2}"
        )
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    rows = [
        (f"HAM_{one.label}_{one.n // 2:07}", stem(one), one.label, ("histo", "follow_up")[one.i % 2], 80.0, "male", "scalp")
        for one in pictures
    ]
    tree.table(metadata, header, rows)


@reads(none=LESIONS)
def ham_10000(tree: Tree) -> None:
    """HAM_images_part_1/ISIC_0024306.jpg, HAM_images_part_2/, HAM_metadata.csv (lesion_id,image_id,dx,…): the class is dx, the group the lesion;
    the folders are two parts of one set."""
    _ham(tree, ("HAM_images_part_1", "HAM_images_part_2"), "HAM_metadata.csv")


@reads(none=LESIONS)
def ham_10000_of_kaggle(tree: Tree) -> None:
    """HAM10000_images_part_1/, _2/, HAM10000_metadata.csv, hmnist_28_28_RGB.csv (pixel0000,…,label): tables of pixels name no picture."""
    _ham(tree, ("HAM10000_images_part_1", "HAM10000_images_part_2"), "HAM10000_metadata.csv")
    for name, columns in (("hmnist_8_8_L.csv", 64), ("hmnist_28_28_RGB.csv", 90)):
        tree.table(name, ",".join([*(f"pixel{i:04}" for i in range(columns)), "label"]), [(*[i + 5] * columns, i % 3) for i in range(18)])


ISIC = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")


@reads(none=each(3, *ISIC))
def isic_2018(tree: Tree) -> None:
    """ISIC2018_Task3_Training_Input/ISIC_0024306.jpg with ATTRIBUTION.txt and LICENSE.txt,
    ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv (image,MEL,NV,… of 1.0 and 0.0)."""
    folder = "ISIC2018_Task3_Training_Input"
    pictures = tree.pictures(f"{folder}/ISIC_{{i:07}}.jpg", each(3, *ISIC), start=24306)
    tree.text(f"{folder}/ATTRIBUTION.txt", "HAM10000 Dataset: (c) by ViDIR Group")
    tree.text(f"{folder}/LICENSE.txt", "CC BY-NC 4.0")
    rows = [(stem(one), *(float(name == one.label) for name in ISIC)) for one in pictures]
    tree.table("ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv", f"image,{','.join(ISIC)}", rows)


@reads_or_stops("ISIC_2019_Training_Metadata.csv", none=each(3, "MEL", "NV", "BCC", "SCC"))
def isic_2019(tree: Tree) -> None:
    """ISIC_2019_Training_Input/, ISIC_2019_Training_GroundTruth.csv (image,MEL,NV,BCC,SCC,UNK: UNK is 0.0 everywhere),
    ISIC_2019_Training_Metadata.csv (image,age_approx,anatom_site_general,lesion_id,sex). Never sex or site as the class."""
    labels = ("MEL", "NV", "BCC", "SCC")
    pictures = tree.pictures("ISIC_2019_Training_Input/ISIC_{i:07}.jpg", each(3, *labels))
    rows = [(stem(one), *(float(name == one.label) for name in (*labels, "UNK"))) for one in pictures]
    tree.table("ISIC_2019_Training_GroundTruth.csv", "image,MEL,NV,BCC,SCC,UNK", rows)
    metadata = [(stem(one), 55.0, ("anterior torso", "head/neck")[one.i % 2], "", ("female", "male")[one.i % 2]) for one in pictures]
    tree.table("ISIC_2019_Training_Metadata.csv", "image,age_approx,anatom_site_general,lesion_id,sex", metadata)


@reads_or_stops(
    "train.csv",
    "benign_malignant",
    "ingest.columns",
    none=each(6, "0", "1"),
    naming={"0": "benign", "1": "malignant"},
    advice=[({"columns": {"label": "target"}}, right(none=each(6, "0", "1")))],
)
def isic_2020(tree: Tree) -> None:
    """train/ISIC_2637011.jpg, test/, train.csv (image_name,patient_id,sex,age_approx,…,diagnosis,benign_malignant,target), test.csv,
    sample_submission.csv (image_name,target 0). Target, or a stop with the columns; never diagnosis or sex without a word."""
    pictures = tree.pictures("train/ISIC_{i:07}.jpg", each(6, "0", "1"), group=lambda one: str(one.n // 2))
    header = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
    kinds = (("unknown", "nevus"), ("melanoma", "melanoma"))
    rows = [
        (
            stem(one),
            f"IP_{one.n // 2}",
            "male",
            45.0,
            "torso",
            kinds[int(one.label)][one.n % 2],
            ("benign", "malignant")[int(one.label)],
            one.label,
        )
        for one in pictures
    ]
    tree.table("train.csv", header, rows)
    test = tree.unlabelled("test/ISIC_{i:07}.jpg", 5, start=900)
    tree.table(
        "test.csv",
        "image_name,patient_id,sex,age_approx,anatom_site_general_challenge",
        [(Path(p).stem, "IP_9", "male", 70, "torso") for p in test],
    )
    tree.table("sample_submission.csv", "image_name,target", [(Path(path).stem, 0) for path in test])


C10 = each(6, "c0", "c1", "c9")


@reads(none=C10)
def state_farm(tree: Tree) -> None:
    """imgs/train/c0/img_104.jpg, imgs/test/img_1.jpg, driver_imgs_list.csv (subject,classname,img), sample_submission.csv (img,c0,…,c9):
    folders and table say the same, and the table has the driver, by whom images are kept together."""
    pictures = tree.pictures("imgs/train/{label}/img_{i}.jpg", C10, group=lambda one: f"p{one.n % 3:03}")
    tree.table("driver_imgs_list.csv", "subject,classname,img", [(f"p{one.n % 3:03}", one.label, file(one)) for one in pictures])
    test = tree.unlabelled("imgs/test/img_{i}.jpg", 5, start=900)
    tree.table("sample_submission.csv", "img,c0,c1,c9", [(path.split("/")[-1], 0.1, 0.1, 0.1) for path in test])


SIGNS = ("0", "1", "14")


@reads(train=each(4, *SIGNS), test=each(3, *SIGNS))
def gtsrb_of_kaggle(tree: Tree) -> None:
    """Train/0/00000_00000_00000.png, Test/00000.png, Meta/0.png, Train.csv, Test.csv (Width,Height,Roi.X1,…,ClassId,Path), Meta.csv (Path,ClassId,…):
    Test has its classes in its table; Meta is a drawing of each sign, no image of the set. One box a picture is no detection set."""
    header = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path"
    train = tree.pictures("Train/{label}/{i:05}_00000_00000.png", each(4, *SIGNS), "train")
    test = tree.pictures("Test/{i:05}.png", each(3, *SIGNS), "test")
    for name, pictures in (("Train", train), ("Test", test)):
        tree.table(f"{name}.csv", header, [(27, 26, 5, 5, 22, 20, one.label, one.path) for one in pictures])
    for label in SIGNS:
        tree.stray(f"Meta/{label}.png")
    tree.table("Meta.csv", "Path,ClassId,ShapeId,ColorId,SignId", [(f"Meta/{label}.png", label, 1, 0, f"3.{label}") for label in SIGNS])


@reads(
    train=each(4, "0", "1", "14"),
    test=each(3, "0", "1", "14"),
    naming={"0": "00000", "1": "00001", "14": "00014"},
)
def gtsrb(tree: Tree) -> None:
    """GTSRB/Final_Training/Images/00000/{00000_00000.ppm,GT-00000.csv}, GTSRB/Final_Test/Images/{00000.ppm,GT-final_test.csv}, with semicolons
    (Filename;Width;Height;Roi.X1;…;ClassId). Never Images or Final_Test as a class."""
    header = ("Filename", "Width", "Height", "Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId")
    for label in SIGNS:
        folder = f"GTSRB/Final_Training/Images/{int(label):05}"
        train = tree.pictures(f"{folder}/{{i:05}}_00000.ppm", {label: 4}, "train")
        tree.lines(
            f"{folder}/GT-{int(label):05}.csv", (";".join(row) for row in [header, *((file(one), *"999999", one.label) for one in train)])
        )
    test = tree.pictures("GTSRB/Final_Test/Images/{i:05}.ppm", each(3, *SIGNS), "test")
    tree.lines(
        "GTSRB/Final_Test/Images/GT-final_test.csv",
        (";".join(row) for row in [header, *((file(one), *"999999", one.label) for one in test)]),
    )
    tree.text("GTSRB/Readme-Images.txt", "The images")


@reads(
    none=each(4, "0", "1", "14"),
    validation=each(3, "0", "1", "14"),
    naming={"0": "00000", "1": "00001", "14": "00014"},
)
def numbers_with_zeros_in_folders_alone(tree: Tree) -> None:
    """train/00014/1.png, val/0.png, val.csv (file,class): 14 in the table is the folder 00014."""
    for label in SIGNS:
        tree.pictures(f"train/{int(label):05}/{{i}}.png", {label: 4}, None)
    val = tree.pictures("val/{i}.png", each(3, *SIGNS), "validation")
    tree.table("val.csv", "file,class", [(file(one), one.label) for one in val])


@stops("no class has training images", "all in test", "mark them as train")
def a_table_of_test_images_alone(tree: Tree) -> None:
    """images/0.png, labels.csv (file,class,split), where each split is `test`."""
    rows = [(one.path, one.label, "test") for one in tree.pictures("images/{i}.png", each(3, *SIGNS), "test")]
    tree.table("labels.csv", "file,class,split", rows)


@reads(none=each(4, "0", "1", "14"))
def a_table_for_each_class(tree: Tree) -> None:
    """images/0.png, signs_0.csv, signs_1.csv, signs_14.csv (file,class): each table says one class."""
    for label in SIGNS:
        pictures = tree.pictures(f"images/{label}_{{i}}.png", {label: 4}, None)
        tree.table(f"signs_{label}.csv", "file,class", [(file(one), one.label) for one in pictures])


LAND = ("AnnualCrop", "Forest", "River")


@reads(train=each(5, *LAND), validation=each(2, *LAND), test=each(3, *LAND))
def eurosat_of_kaggle(tree: Tree) -> None:
    """EuroSAT/AnnualCrop/AnnualCrop_1.jpg, EuroSAT/{train,validation,test}.csv (,Filename,Label,ClassName), label_map.json: a split per table."""
    for split, count, start in (("train", 5, 0), ("validation", 2, 50), ("test", 3, 90)):
        pictures = tree.pictures("EuroSAT/{label}/{label}_{n}.jpg", each(count, *LAND), split, start=start)
        rows = [(one.i, f"{one.label}/{file(one)}", LAND.index(one.label), one.label) for one in pictures]
        tree.table(f"EuroSAT/{split}.csv", ",Filename,Label,ClassName", rows)
    tree.json("EuroSAT/label_map.json", {label: i for i, label in enumerate(LAND)})


SPORTS = ("air hockey", "archery")


@reads(train=each(5, *SPORTS), validation=each(2, *SPORTS), test=each(3, *SPORTS))
def hundred_sports(tree: Tree) -> None:
    """{train,valid,test}/air hockey/001.jpg, sports.csv (class id,filepaths,labels,data set), EfficientNetB0-100.h5: folders and table agree."""
    rows = []
    for split, word, count in (("train", "train", 5), ("validation", "valid", 2), ("test", "test", 3)):
        for one in tree.pictures(f"{word}/{{label}}/{{n:03}}.jpg", each(count, *SPORTS), split):
            rows.append((SPORTS.index(one.label), one.path, one.label, word))
    tree.table("sports.csv", "class id,filepaths,labels,data set", rows)
    tree.put("EfficientNetB0-100-(224 X 224)- 98.40.h5", b"\x89HDF\r\n\x1a\n" + bytes(90))


FACES = ("fake", "real")


@reads(train=each(5, *FACES), validation=each(2, *FACES), test=each(3, *FACES), naming={"fake": "0", "real": "1"})
def real_and_fake_140k(tree: Tree) -> None:
    """real_vs_fake/real-vs-fake/{train,valid,test}/{fake,real}/x.jpg, {train,valid,test}.csv (,original_path,id,label,label_str,path): of two
    columns of paths one leads to files."""
    for split, word, count in (("train", "train", 5), ("validation", "valid", 2), ("test", "test", 3)):
        rows = []
        for one in tree.pictures(f"real_vs_fake/real-vs-fake/{word}/{{label}}/{{i:05}}.jpg", each(count, *FACES), split):
            original = f"/kaggle/input/flickrfaceshq-dataset-nvidia-part-4/{one.i:05}.png"
            rows.append((one.i, original, one.i, FACES.index(one.label), one.label, f"{word}/{one.label}/{one.i:05}.jpg"))
        tree.table(f"{word}.csv", ",original_path,id,label,label_str,path", rows)


@reads(train=each(5, *FACES), test=each(3, *FACES))
def tables_beside_split_folders(tree: Tree) -> None:
    """train.csv + train/0.jpg, test.csv + test/0.jpg (filename,label): bare names that start at 0 in both."""
    for split, count in (("train", 5), ("test", 3)):
        pictures = tree.pictures(f"{split}/{{i}}.jpg", each(count, *FACES), split)
        tree.table(f"{split}.csv", "filename,label", [(file(one), one.label) for one in pictures])


@reads(train=each(5, *FACES), test=each(3, *FACES))
def tables_in_split_folders(tree: Tree) -> None:
    """train/{labels.csv,0.jpg}, test/{labels.csv,0.jpg}."""
    for split, count in (("train", 5), ("test", 3)):
        pictures = tree.pictures(f"{split}/{{i}}.jpg", each(count, *FACES), split)
        tree.table(f"{split}/labels.csv", "file_name,label", [(file(one), one.label) for one in pictures])


@reads(train=each(5, *FACES), test=each(3, *FACES))
def image_folder_of_hugging_face(tree: Tree) -> None:
    """data/train/{0001.png,metadata.csv}, data/test/{0001.png,metadata.csv} (file_name,label), README.md."""
    for split, count in (("train", 5), ("test", 3)):
        pictures = tree.pictures(f"data/{split}/{{i:04}}.png", each(count, *FACES), split)
        tree.table(f"data/{split}/metadata.csv", "file_name,label", [(file(one), one.label) for one in pictures])
    tree.text("README.md", "---\nlicense: mit\n---\n")


@reads(train=each(5, *FACES), test=each(3, *FACES))
def metadata_above_split_folders(tree: Tree) -> None:
    """metadata.jsonl above train/0.jpg and test/0.jpg: the split is that of the folders."""
    pictures = tree.pictures("train/{i}.jpg", each(5, *FACES), "train") + tree.pictures("test/{i}.jpg", each(3, *FACES), "test")
    tree.lines("metadata.jsonl", (json.dumps({"file_name": one.path, "label": one.label}) for one in pictures))


@reads(train=each(5, *FACES), test=each(3, *FACES))
def one_table_above_split_folders(tree: Tree) -> None:
    """labels.csv (image,class) above train/0.jpg and test/100.jpg with bare names: the split is that of the folder in which a file is found."""
    pictures = tree.pictures("train/{i}.jpg", each(5, *FACES), "train") + tree.pictures("test/{i}.jpg", each(3, *FACES), "test", start=100)
    tree.table("labels.csv", "image,class", [(file(one), one.label) for one in pictures])


@reads(none=each(5, *FACES))
def table_in_a_folder_of_its_own(tree: Tree) -> None:
    """images/0.jpg, labels/labels.csv with ../images/0.jpg: relative to the table."""
    pictures = tree.pictures("images/{i}.jpg", each(5, *FACES))
    tree.table("labels/labels.csv", "path,label", [(f"../{one.path}", one.label) for one in pictures])


@reads(none=each(5, *FACES))
def table_in_a_folder_of_its_own_with_bare_names(tree: Tree) -> None:
    """images/0.jpg, annotations/labels.csv with 0.jpg."""
    pictures = tree.pictures("images/{i}.jpg", each(5, *FACES))
    tree.table("annotations/labels.csv", "image_name,label", [(file(one), one.label) for one in pictures])


@reads(none=each(6, *FACES))
def folders_of_years_with_a_table(tree: Tree) -> None:
    """photos_2023/, photos_2024/, labels.csv (image_name,label with photos_2023/0.jpg): the table has the classes."""
    pictures = [one for year in (2023, 2024) for one in tree.pictures(f"photos_{year}/{{i}}.jpg", each(3, *FACES))]
    tree.table("labels.csv", "image_name,label", [(one.path, one.label) for one in pictures])


@reads(none=each(6, "0", "1"), naming={"0": "cat", "1": "dog"})
def list_of_path_and_number(tree: Tree) -> None:
    """images/0.jpg, train.txt (`images/0.jpg 0`), as Caffe has it."""
    pictures = tree.pictures("images/{i}.jpg", each(6, "0", "1"))
    tree.lines("train.txt", (f"{one.path} {one.label}" for one in pictures))


@reads(none=each(6, "0", "1"), validation=each(3, "0", "1"), naming={"0": "pink primrose", "1": "globe thistle"})
def paddle_clas(tree: Tree) -> None:
    """flowers102/jpg/image_00001.jpg, train_list.txt and val_list.txt (`jpg/image_00001.jpg 0`), flowers102_label_list.txt (`0 pink primrose`)."""
    for word, split, count, start in (("train", None, 6, 1), ("val", "validation", 3, 50)):
        pictures = tree.pictures("flowers102/jpg/image_{i:05}.jpg", each(count, "0", "1"), split, start=start)
        tree.lines(f"flowers102/{word}_list.txt", (f"jpg/{file(one)} {one.label}" for one in pictures))
    tree.lines("flowers102/flowers102_label_list.txt", ("0 pink primrose", "1 globe thistle"))


@reads_or_stops("train.txt", none=each(6, "cat", "dog"), validation=each(3, "cat", "dog"), naming={"cat": "0", "dog": "1"})
def mm_pretrain(tree: Tree) -> None:
    """data/{train,val}/cat/0.png, data/meta/{train,val}.txt (`cat/0.png 0`): lists and folders say the same."""
    for word, split, count in (("train", None, 6), ("val", "validation", 3)):
        pictures = tree.pictures(f"data/{word}/{{label}}/{{i}}.png", each(count, "cat", "dog"), split)
        tree.lines(f"data/meta/{word}.txt", (f"{one.label}/{one.i}.png {('cat', 'dog').index(one.label)}" for one in pictures))


TRASH = ("cardboard", "glass", "metal")


@reads_or_stops(
    "one-indexed-files",
    train=each(4, *TRASH),
    validation=each(2, *TRASH),
    test=each(3, *TRASH),
    naming={label: str(i) for i, label in enumerate(TRASH, 1)},
    advice=[({"format": "folders"}, right(none=each(9, *TRASH)))],
)
def trash_net(tree: Tree) -> None:
    """Garbage classification/Garbage classification/cardboard/cardboard1.jpg, one-indexed-files-notrash_{train,val,test}.txt (`cardboard1.jpg 1`),
    zero-indexed-files.txt (all, from 0). The split of the lists is kept, or the run stops with their names."""
    root, everything = "Garbage classification/Garbage classification", []
    for split, word, count, start in (("train", "train", 4, 1), ("validation", "val", 2, 50), ("test", "test", 3, 90)):
        pictures = tree.pictures(f"{root}/{{label}}/{{label}}{{n}}.jpg", each(count, *TRASH), split, start=start)
        tree.lines(f"one-indexed-files-notrash_{word}.txt", (f"{file(one)} {TRASH.index(one.label) + 1}" for one in pictures))
        everything += pictures
    tree.lines("one-indexed-files.txt", (f"{file(one)} {TRASH.index(one.label) + 1}" for one in everything))
    tree.lines("zero-indexed-files.txt", (f"{file(one)} {TRASH.index(one.label)}" for one in everything))


@reads(train=each(6, "cat", "dog"), validation=each(3, "cat", "dog"), test=each(2, "cat", "dog"))
def roboflow_one_hot(tree: Tree) -> None:
    """{train,valid,test}/{0.jpg,_classes.csv} (`filename, cat, dog` with a space after each comma)."""
    for split, word, count in (("train", "train", 6), ("validation", "valid", 3), ("test", "test", 2)):
        pictures = tree.pictures(f"{word}/{{i}}.jpg", each(count, "cat", "dog"), split)
        rows = (f"{file(one)}, {int(one.label == 'cat')}, {int(one.label == 'dog')}" for one in pictures)
        tree.lines(f"{word}/_classes.csv", ["filename, cat, dog", *rows])
    tree.text("README.roboflow.txt", "export")


@stops("_classes.csv", "cat", "dog", "ingest.multi_label")
def roboflow_multi_label(tree: Tree) -> None:
    """The same export of pictures that show a cat and a dog at once: two ones in a row."""
    for word, count in (("train", 8), ("valid", 4)):
        pictures = tree.pictures(f"{word}/{{i}}.jpg", each(count, "cat", "dog"))
        rows = (f"{file(one)}, {int(one.label == 'cat' or one.i % 4 == 1)}, {int(one.label == 'dog')}" for one in pictures)
        tree.lines(f"{word}/_classes.csv", ["filename, cat, dog", *rows])


@reads(none=each(6, "cat", "dog"))
def one_hot_in_two_tables(tree: Tree) -> None:
    """images/0.jpg, part1.csv and part2.csv (image,cat,dog of 1.0 and 0.0)."""
    for part in (1, 2):
        pictures = tree.pictures("images/{i}.jpg", each(3, "cat", "dog"), start=50 * part)
        tree.table(
            f"part{part}.csv", "image,cat,dog", [(file(one), float(one.label == "cat"), float(one.label == "dog")) for one in pictures]
        )


CHOICES = each(6, "cat", "dog")
LABEL_STUDIO = "image,id,choice,annotator,annotation_id,created_at,updated_at,lead_time"


def _studio(one: Picture, image: str) -> tuple[object, ...]:
    return (image, one.i, one.label, 1 + one.i % 2, one.i, "2024-05-01T10:00:00Z", "2024-05-01T10:00:09Z", 9.1 + one.i)


@reads(none=CHOICES)
def label_studio_csv(tree: Tree) -> None:
    """upload/1/8c6f7a1b-0.jpg and the export project-1.csv, whose column image has /data/upload/1/8c6f7a1b-0.jpg: the prefix is the server's."""
    pictures = tree.pictures("upload/1/8c6f{i:04x}-{i}.jpg", CHOICES)
    tree.table("project-1-at-2024-05-01.csv", LABEL_STUDIO, [_studio(one, f"/data/{one.path}") for one in pictures])


@reads(none=CHOICES)
def label_studio_csv_with_original_files(tree: Tree) -> None:
    """images/IMG_0.jpg as they were before the upload; the export has /data/upload/1/8c6f7a1b-IMG_0.jpg, with a random prefix of 8 signs."""
    pictures = tree.pictures("images/IMG_{i}.jpg", CHOICES)
    tree.table("project-1.csv", LABEL_STUDIO, [_studio(one, f"/data/upload/1/8c6f{one.i:04x}-IMG_{one.i}.jpg") for one in pictures])


@reads(none=CHOICES)
def label_studio_local_files(tree: Tree) -> None:
    """images/0.jpg and an export with /data/local-files/?d=images/0.jpg."""
    pictures = tree.pictures("images/{i}.jpg", CHOICES)
    tree.table("export.csv", LABEL_STUDIO, [_studio(one, f"/data/local-files/?d={one.path}") for one in pictures])


@reads(none=CHOICES)
def label_studio_json_min(tree: Tree) -> None:
    """upload/1/8c6f7a1b-0.jpg and JSON-MIN: a list of {image, id, choice, annotator, …}."""
    pictures = tree.pictures("upload/1/8c6f{i:04x}-{i}.jpg", CHOICES)
    keys = LABEL_STUDIO.split(",")
    tree.json("project-1.json", [dict(zip(keys, _studio(one, f"/data/{one.path}"), strict=True)) for one in pictures])


@reads_or_stops("project-1.json", none=CHOICES)
def label_studio_json(tree: Tree) -> None:
    """The full JSON export: a list of tasks with annotations[0].result[0].value.choices."""
    pictures = tree.pictures("upload/1/8c6f{i:04x}-{i}.jpg", CHOICES)
    tasks = [
        {
            "id": one.i,
            "data": {"image": f"/data/{one.path}"},
            "annotations": [{"result": [{"type": "choices", "from_name": "choice", "value": {"choices": [one.label]}}]}],
        }
        for one in pictures
    ]
    tree.json("project-1.json", tasks)


@reads_or_stops("annotations.xml", none=CHOICES)
def cvat_for_images(tree: Tree) -> None:
    """CVAT for images 1.1: images/0.jpg, annotations.xml with <image name="0.jpg"><tag label="cat"/></image>."""
    pictures = tree.pictures("images/{i}.jpg", CHOICES)
    images = "".join(
        f'<image id="{one.i}" name="{one.i}.jpg" width="16" height="16"><tag label="{one.label}"/></image>' for one in pictures
    )
    tree.text("annotations.xml", f"<?xml version='1.0'?><annotations><version>1.1</version>{images}</annotations>")


@reads_or_stops("annotations.xml", none=CHOICES)
def cvat_for_images_in_folders(tree: Tree) -> None:
    """The same export of images in images/default/ and images/later/: never the classes default and later."""
    pictures = [one for folder in ("default", "later") for one in tree.pictures(f"images/{folder}/{{i}}.jpg", each(3, "cat", "dog"))]
    rows = (
        f'<image id="{n}" name="{one.path[7:]}" width="16" height="16"><tag label="{one.label}"/></image>' for n, one in enumerate(pictures)
    )
    tree.text("annotations.xml", f"<annotations><version>1.1</version>{''.join(rows)}</annotations>")


@reads(none=CHOICES)
def json_list(tree: Tree) -> None:
    """images/0.jpg, labels.json: a list of {image, label}."""
    pictures = tree.pictures("images/{i}.jpg", CHOICES)
    tree.json("labels.json", [{"image": one.path, "label": one.label} for one in pictures])


@reads_or_stops("labels.json", none=CHOICES, naming={"cat": "0", "dog": "1"})
def json_list_beside_folders_of_years(tree: Tree) -> None:
    """photos_2023/, photos_2024/, labels.json: never the years as classes."""
    pictures = [one for year in (2023, 2024) for one in tree.pictures(f"photos_{year}/{{i}}.jpg", each(3, "cat", "dog"))]
    tree.json("labels.json", [{"image_name": one.path, "label": one.label} for one in pictures])


@reads_or_stops("labels.json", none=CHOICES, naming={"cat": "0", "dog": "1"})
def fifty_one(tree: Tree) -> None:
    """FiftyOne's data/0001.jpg, labels.json: {"classes": [cat, dog], "labels": {"0001": 0, …}}."""
    pictures = tree.pictures("data/{i:04}.jpg", CHOICES)
    tree.json("labels.json", {"classes": ["cat", "dog"], "labels": {stem(one): ("cat", "dog").index(one.label) for one in pictures}})


@reads_or_stops("labels.json", none=CHOICES)
def json_of_names(tree: Tree) -> None:
    """images/0.jpg, labels.json: {"0.jpg": "cat", …}."""
    pictures = tree.pictures("images/{i}.jpg", CHOICES)
    tree.json("labels.json", {file(one): one.label for one in pictures})


@reads_or_stops("train.lst", none=CHOICES, naming={"cat": "0", "dog": "1"})
def sage_maker(tree: Tree) -> None:
    """AWS's train/{cat,dog}/0.jpg, train.lst (`5<tab>1.000000<tab>dog/5.jpg`)."""
    pictures = tree.pictures("train/{label}/{i}.jpg", CHOICES)
    tree.lines("train.lst", (f"{one.i}\t{('cat', 'dog').index(one.label)}.000000\t{one.label}/{one.i}.jpg" for one in pictures))


@reads_or_stops("gs://bucket/flowers", none=each(6, "daisy", "rose"))
def vertex_csv(tree: Tree) -> None:
    """Google's AutoML: flowers/daisy/0.jpg and all_data.csv (no header; gs://bucket/flowers/daisy/0.jpg,daisy). Local copies, or the reason."""
    pictures = tree.pictures("flowers/{label}/{i}.jpg", each(6, "daisy", "rose"))
    tree.table("all_data.csv", "", [(f"gs://bucket/{one.path}", one.label) for one in pictures])


@stops("gs://bucket/", "all_data.csv")
def vertex_csv_alone(tree: Tree) -> Path:
    """The same table, with the pictures in the bucket only: the reason shows the address as it is written."""
    rows = [("TRAIN" if i % 3 else "TEST", f"gs://bucket/flowers/{i}.jpg", ("daisy", "rose")[i % 2]) for i in range(12)]
    return tree.table("all_data.csv", "ml_use,image_path,label", rows)


@stops("https://example.com/0.jpg", "l.csv")
def addresses_in_a_table(tree: Tree) -> Path:
    """l.csv (image,label with https://example.com/0.jpg): the address is shown whole."""
    return tree.table("l.csv", "image,label", [(f"https://example.com/{i}.jpg", ("cat", "dog")[i % 2]) for i in range(12)])


@stops("train.manifest")
def rekognition(tree: Tree) -> None:
    """AWS's train.manifest: JSON lines with source-ref s3://bucket/0.jpg, and no pictures."""
    rows = [{"source-ref": f"s3://bucket/{i}.jpg", "pet": i % 2, "pet-metadata": {"class-name": ("cat", "dog")[i % 2]}} for i in range(12)]
    tree.lines("train.manifest", map(json.dumps, rows))


@reads_or_stops("base64", "l.csv", none=CHOICES)
def base64_in_a_table(tree: Tree) -> Path:
    """l.csv (image,label) with the pictures themselves, as base64: read, or the reason."""
    rows = []
    for i in range(12):
        label = ("cat", "dog")[i % 2]
        rows.append((base64.b64encode(tree.known(tree.draw(), f"row {i}", label)).decode(), label))
    return tree.table("l.csv", "image,label", rows)


@reads(none=CHOICES)
def table_of_a_german_excel(tree: Tree) -> Path:
    """x/0.jpg, l.csv with a first line `sep=;`."""
    pictures = tree.pictures("x/{i}.jpg", CHOICES)
    return tree.lines("l.csv", ["sep=;", "path;label", *(f"{one.path};{one.label}" for one in pictures)])


@reads(none=CHOICES)
def auto_gluon(tree: Tree) -> None:
    """images/0.jpg, labels.csv (image,label with paths relative to the table)."""
    pictures = tree.pictures("images/{i}.jpg", CHOICES)
    tree.table("labels.csv", "image,label", [(one.path, one.label) for one in pictures])


@reads(none=CHOICES)
def table_with_backslashes(tree: Tree) -> None:
    r"""images/0.jpg, labels.csv with images\0.jpg, as a script on Windows wrote it."""
    pictures = tree.pictures("images/{i}.jpg", CHOICES)
    tree.table("labels.csv", "image,label", [(one.path.replace("/", "\\"), one.label) for one in pictures])


@reads_or_stops("labels.csv", "UTF-8", none=CHOICES)
def table_in_utf_16(tree: Tree) -> None:
    """images/0.jpg, labels.csv in UTF-16 with tabs, which Excel calls Unicode text: read, or the remedy."""
    pictures = tree.pictures("images/{i}.jpg", CHOICES)
    rows = [f"{one.path}\t{one.label}" for one in pictures]
    tree.put("labels.csv", "\r\n".join(["image\tlabel", *rows]).encode("utf-16"))


@reads_or_stops("train.csv", "/content/drive/MyDrive/pets/images/0.jpg", none=CHOICES)
def paths_of_another_machine(tree: Tree) -> None:
    """images/0.jpg, train.csv (path,label with /content/drive/MyDrive/pets/images/0.jpg): what two paths end in alike is the same file."""
    pictures = tree.pictures("images/{i}.jpg", CHOICES)
    tree.table("train.csv", "path,label", [(f"/content/drive/MyDrive/pets/images/{file(one)}", one.label) for one in pictures])


@reads_or_stops("train.csv", "C:", none=CHOICES)
def paths_of_another_windows_machine(tree: Tree) -> None:
    r"""The same with C:\Users\me\pets\images\0.jpg."""
    pictures = tree.pictures("images/{i}.jpg", CHOICES)
    tree.table("train.csv", "path,label", [(f"C:\\Users\\me\\pets\\images\\{file(one)}", one.label) for one in pictures])


MARKS = each(4, "27", "81", "1001")


@reads(none=MARKS)
def google_landmarks(tree: Tree) -> None:
    """train/0/1/2/012ab.jpg, train.csv (id,landmark_id), test/…: folders by the first signs of the id; ids without an ending."""
    pictures = tree.pictures("train/0/{n}/2/0{n}2{i:013x}.jpg", MARKS)
    tree.table("train.csv", "id,landmark_id", [(stem(one), one.label) for one in pictures])
    tree.unlabelled("test/3/4/5/345{i:013x}.jpg", 5)


@reads(
    train=each(4, "707-320", "A300B4"),
    validation=each(2, "707-320", "A300B4"),
    test=each(3, "707-320", "A300B4"),
    naming={"707-320": "0", "A300B4": "1"},
)
def fgvc_aircraft_of_kaggle(tree: Tree) -> None:
    """fgvc-aircraft-2013b/fgvc-aircraft-2013b/data/images/1025794.jpg, {train,val,test}.csv (filename,Classes,Labels) with bare names."""
    root, classes = "fgvc-aircraft-2013b/fgvc-aircraft-2013b/data/images", ("707-320", "A300B4")
    for split, word, count, start in (("train", "train", 4, 0), ("validation", "val", 2, 50), ("test", "test", 3, 90)):
        pictures = tree.pictures(f"{root}/10{{i:05}}.jpg", each(count, *classes), split, start=start)
        tree.table(f"{word}.csv", "filename,Classes,Labels", [(file(one), one.label, classes.index(one.label)) for one in pictures])


@reads(none=each(6, "Chinee apple", "Negative", "Parkinsonia"), naming={"Chinee apple": "0", "Parkinsonia": "2", "Negative": "8"})
def deep_weeds(tree: Tree) -> None:
    """images/20160928-140314-0.jpg, labels.csv (Filename,Label,Species): a number and its name."""
    numbers = {"Chinee apple": 0, "Parkinsonia": 2, "Negative": 8}
    pictures = tree.pictures("images/20160928-1403{i:02}-0.jpg", each(6, "Chinee apple", "Negative", "Parkinsonia"))
    tree.table("labels.csv", "Filename,Label,Species", [(file(one), numbers[one.label], one.label) for one in pictures])


@stops(
    "fairface_label_train.csv",
    "age",
    "gender",
    "race",
    "ingest.columns",
    advice=[({"columns": {"label": "gender"}}, right(none=each(8, "Female", "Male"), validation=each(4, "Female", "Male")))],
)
def fair_face(tree: Tree) -> None:
    """train/1.jpg, val/1.jpg, fairface_label_{train,val}.csv (file,age,gender,race,service_test): three columns that could be the class."""
    for word, count in (("train", 8), ("val", 4)):
        pictures = tree.pictures(f"{word}/{{i}}.jpg", each(count, "Female", "Male"), start=1)
        rows = [
            (one.path, ("20-29", "30-39")[one.n % 2], one.label, ("Black", "White", "Indian")[one.n % 3], one.n % 2 == 0)
            for one in pictures
        ]
        tree.table(f"fairface_label_{word}.csv", "file,age,gender,race,service_test", rows)


@stops(
    "styles.csv",
    "masterCategory",
    "articleType",
    "ingest.columns",
    advice=[({"columns": {"label": "masterCategory"}}, right(none=each(8, "Apparel", "Footwear")))],
)
def fashion_products(tree: Tree) -> None:
    """images/15970.jpg, styles.csv (id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName)."""
    pictures = tree.pictures("images/{i}.jpg", each(8, "Apparel", "Footwear"), start=1163)
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
    kinds = {"Apparel": ("Shirts", "Tshirts"), "Footwear": ("Casual Shoes", "Flip Flops")}
    rows = [
        (
            one.i,
            ("Men", "Women")[one.n % 2],
            one.label,
            "Topwear",
            kinds[one.label][one.n // 2 % 2],
            ("Navy", "Blue")[one.n // 3 % 2],
            "Fall",
            2011,
            "Casual",
            f"x {one.i}",
        )
        for one in pictures
    ]
    tree.table("styles.csv", header, rows)


@reads_or_stops(
    "train.csv",
    "species",
    "individual_id",
    "ingest.columns",
    none=each(8, "beluga", "bottlenose_dolphin"),
    advice=[({"columns": {"label": "species"}}, right(none=each(8, "beluga", "bottlenose_dolphin")))],
)
def happy_whale(tree: Tree) -> None:
    """train_images/00021adfb725ed.jpg, test_images/, train.csv (image,species,individual_id), sample_submission.csv (image,predictions)."""
    pictures = tree.pictures("train_images/{i:014x}.jpg", each(8, "beluga", "bottlenose_dolphin"))
    tree.table("train.csv", "image,species,individual_id", [(file(one), one.label, f"{one.label[0]}{one.n // 2:011x}") for one in pictures])
    test = tree.unlabelled("test_images/{i:014x}.jpg", 5, start=900)
    tree.table(
        "sample_submission.csv", "image,predictions", [(path.split("/")[1], "37c7aba965a5 114207cab555 a6e325d8e924") for path in test]
    )


@stops(
    "train.csv",
    "hotel_id",
    "chain",
    "ingest.columns",
    advice=[({"columns": {"label": "hotel_id"}}, right(none=each(4, "18807", "20567", "58384", "63681")))],
)
def hotel_id(tree: Tree) -> None:
    """train_images/{0,3}/99e91ad5f2870678.jpg by chain, train.csv (image,chain,hotel_id,timestamp): folders say one thing, the table another."""
    rows = []
    for chain, hotels in ((0, ("18807", "20567")), (3, ("58384", "63681"))):
        pictures = tree.pictures(f"train_images/{chain}/{chain}{{i:015x}}.jpg", each(4, *hotels))
        rows += [(file(one), chain, one.label, "2018-04-09 18:35:00") for one in pictures]
    tree.table("train.csv", "image,chain,hotel_id,timestamp", rows)


@reads_or_stops(
    "train.csv",
    "category_id",
    "file_name",
    "ingest.columns",
    none=each(6, "0", "1", "19"),
    advice=[
        ({"columns": {"path": "file_name", "label": "category_id", "group": "location"}}, right(none=each(6, "0", "1", "19"))),
    ],
)
def i_wild_cam(tree: Tree) -> None:
    """train_images/5998cfa4-23d2.jpg, train.csv (category_id,date_captured,file_name,frame_num,id,
    location,rights_holder,seq_id,…)."""
    pictures = tree.pictures("train_images/5998{i:04x}-23d2.jpg", each(6, "0", "1", "19"))
    header = "category_id,date_captured,file_name,frame_num,id,location,rights_holder,seq_id,seq_num_frames,width,height"
    rows = [
        (one.label, "2011-05-13 23:43:18", file(one), 1, stem(one), 33 + one.n % 2, "Justin", f"6f12{one.n // 2}", 2, 1024, 747)
        for one in pictures
    ]
    tree.table("train.csv", header, rows)


@reads_or_stops(
    "metadata.csv",
    "diagnostic",
    "ingest.columns",
    none=each(6, "BCC", "NEV", "SEK"),
    advice=[({"columns": {"path": "img_id", "label": "diagnostic", "group": "patient_id"}}, right(none=each(6, "BCC", "NEV", "SEK")))],
)
def pad_ufes_20(tree: Tree) -> None:
    """images/imgs_part_{1,2}/imgs_part_1/PAT_1516_1765_530.png, metadata.csv (patient_id,lesion_id,smoke,…,diagnostic,itch,…,img_id,biopsed)."""
    rows = []
    for part in (1, 2):
        pictures = tree.pictures(f"images/imgs_part_{part}/imgs_part_{part}/PAT_{part}{{i}}_10_5.png", each(3, "BCC", "NEV", "SEK"))
        rows += [
            (
                f"PAT_{part}{one.i // 2}",
                one.i,
                one.n % 2 == 0,
                8,
                "NECK",
                one.label,
                ("True", "False", "UNK")[one.n],
                file(one),
                one.n % 2 == 1,
            )
            for one in pictures
        ]
    tree.table("metadata.csv", "patient_id,lesion_id,smoke,age,region,diagnostic,itch,img_id,biopsed", rows)


@reads_or_stops("labels.csv", none=each(6, "3", "7"), validation=each(3, "3", "7"), naming={"3": "0", "7": "1"})
def fastai_mnist_sample(tree: Tree) -> None:
    """mnist_sample/{train,valid}/{3,7}/7463.png, labels.csv (name,label with 0 and 1): the table calls the classes otherwise."""
    rows = []
    for word, split, count in (("train", None, 6), ("valid", "validation", 3)):
        for one in tree.pictures(f"mnist_sample/{word}/{{label}}/{{i}}.png", each(count, "3", "7"), split):
            rows.append((one.path.removeprefix("mnist_sample/"), int(one.label == "7")))
    tree.table("mnist_sample/labels.csv", "name,label", rows)


BLURRED = each(5, "Cardiomegaly", "Effusion", "No Finding")


@stops(
    "sample_labels.csv",
    "Finding Labels",
    "Cardiomegaly|Effusion",
    "ingest.multi_label",
    advice=[({"multi_label": "combine"}, right(none={**BLURRED, "Cardiomegaly|Effusion": 4}))],
)
def nih_chest_xrays_sample(tree: Tree) -> None:
    """sample/images/00000013_005.png, sample_labels.csv (Image Index,Finding Labels,Follow-up #,Patient ID,…: `Cardiomegaly|Effusion`)."""
    pictures = tree.pictures("sample/images/{i:08}_000.png", {**BLURRED, "Cardiomegaly|Effusion": 4})
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
    tree.table("sample_labels.csv", header, [(file(one), one.label, 0, one.i, "060Y", "M", "PA") for one in pictures])


@stops("Data_Entry_2017.csv", "Finding Labels")
def nih_chest_xrays(tree: Tree) -> None:
    """images_001/images/00000001_000.png, images_002/images/…, Data_Entry_2017.csv, BBox_List_2017.csv, train_val_list.txt, test_list.txt."""
    rows, names = [], []
    for part in (1, 2):
        for one in tree.pictures(f"images_{part:03}/images/{part:08}_{{i:03}}.png", {**each(3, *BLURRED), "Effusion|Infiltration": 2}):
            rows.append((file(one), one.label, one.i, part * 10 + one.i // 4, 58, "M"))
            names.append(file(one))
    tree.table("Data_Entry_2017.csv", "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender", rows)
    tree.table("BBox_List_2017.csv", "Image Index,Finding Label,Bbox [x,y,w,h],,,", [(names[0], "Effusion", 225.0, 547.0, 86.7, 79.1)])
    tree.lines("train_val_list.txt", names[:15])
    tree.lines("test_list.txt", names[15:])


@stops("train.csv", "scab rust", "ingest.multi_label")
def plant_pathology_2021(tree: Tree) -> None:
    """train_images/x.jpg, train.csv (image,labels with `scab rust`): a label made of other labels."""
    labels = {"complex": 4, "healthy": 4, "rust": 4, "scab": 4, "rust complex": 2, "scab rust": 2, "scab rust complex": 1}
    pictures = tree.pictures("train_images/{i:016x}.jpg", labels)
    tree.table("train.csv", "image,labels", [(file(one), one.label) for one in pictures])


@stops("train_v2.csv", "tags", "ingest.multi_label")
def planet_amazon(tree: Tree) -> None:
    """train-jpg/train_0.jpg, train_v2.csv (image_name,tags: `haze primary`)."""
    labels = {"cloudy": 4, "clear primary": 4, "haze primary": 3, "agriculture clear primary water": 2, "clear habitation primary": 2}
    pictures = tree.pictures("train-jpg/train_{i}.jpg", labels)
    tree.table("train_v2.csv", "image_name,tags", [(stem(one), one.label) for one in pictures])


@stops("train.csv", "attribute_ids", "ingest.multi_label")
def i_met(tree: Tree) -> None:
    """train/1000483014d91860.png, train.csv (id,attribute_ids: `147 616 813`)."""
    labels = {"51 147": 3, "51 616": 3, "147 616 813": 3, "813": 3, "51": 3}
    pictures = tree.pictures("train/{i:016x}.png", labels)
    tree.table("train.csv", "id,attribute_ids", [(stem(one), one.label) for one in pictures])


@stops("movies.csv", "Genre", "ingest.multi_label")
def movie_posters(tree: Tree) -> None:
    """posters/114709.jpg, movies.csv (imdbId,Title,IMDB Score,Genre: `Animation|Comedy`)."""
    labels = {"Comedy": 4, "Drama": 4, "Animation": 4, "Animation|Comedy": 3, "Comedy|Drama": 3}
    pictures = tree.pictures("posters/{i}.jpg", labels, start=114709)
    tree.table("movies.csv", "imdbId,Title,IMDB Score,Genre", [(one.i, f"Film {one.i}", 5.1 + one.n, one.label) for one in pictures])


@stops("labels.csv", "ingest.multi_label")
def labels_with_commas(tree: Tree) -> None:
    """images/0.jpg, labels.csv (file,labels: `car, person`)."""
    pictures = tree.pictures("images/{i}.jpg", {"car": 4, "person": 4, "car, person": 3, "bus": 4, "bus, car, person": 2})
    tree.table("labels.csv", "file,labels", [(file(one), one.label) for one in pictures])


@stops("train.csv", "Target")
def human_protein_atlas(tree: Tree) -> None:
    """train/00070df0_{red,green,blue,yellow}.png, train.csv (Id,Target: `16 0`): several labels a cell, and four files a picture."""
    rows = []
    for i in range(12):
        for colour in ("red", "green", "blue", "yellow"):
            tree.picture(f"train/{i:08x}-bbad_{colour}.png", "x")
        rows.append((f"{i:08x}-bbad", ("16 0", "7 1", "5", "16", "0", "7")[i % 6]))
    tree.table("train.csv", "Id,Target", rows)


@stops("train.csv", "labels", "ingest.multi_label")
def fastai_pascal(tree: Tree) -> None:
    """pascal_2007/train/000005.jpg, train.csv (fname,labels,is_valid: `chair car`)."""
    pictures = tree.pictures("pascal_2007/train/{i:06}.jpg", {"chair": 4, "car": 4, "car person": 3, "person": 4, "chair car person": 1})
    tree.table("pascal_2007/train.csv", "fname,labels,is_valid", [(file(one), one.label, one.n % 4 == 3) for one in pictures])


ATTRIBUTES = ["5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bald", "Bangs", "Eyeglasses", "Male", "Smiling", "Young"]


@stops(
    "list_attr_celeba.csv",
    "ingest.columns",
    advice=[({"columns": {"label": "Smiling"}}, right(none=each(9, "-1", "1"), any_split=True))],
)
def celeb_a(tree: Tree) -> None:
    """img_align_celeba/img_align_celeba/000001.jpg, list_attr_celeba.csv (image_id and 40 columns of -1 and 1), list_eval_partition.csv
    (image_id,partition 0 to 2), list_bbox_celeba.csv, list_landmarks_align_celeba.csv: many labels a face; one column can be chosen."""
    pictures = tree.pictures("img_align_celeba/img_align_celeba/{i:06}.jpg", each(9, "-1", "1"), start=1)
    smiling = ATTRIBUTES.index("Smiling")
    rows = []
    for one in pictures:
        values = [1 if (one.i * (k + 3)) % 5 < 2 else -1 for k in range(len(ATTRIBUTES))]
        values[smiling] = int(one.label)
        rows.append((file(one), *values))
    tree.table("list_attr_celeba.csv", f"image_id,{','.join(ATTRIBUTES)}", rows)
    tree.table(
        "list_eval_partition.csv", "image_id,partition", [(file(one), 0 if one.n < 5 else 1 if one.n < 7 else 2) for one in pictures]
    )
    tree.table("list_bbox_celeba.csv", "image_id,x_1,y_1,width,height", [(file(one), 95, 71, 226, 313 + one.i) for one in pictures])
    tree.table("list_landmarks_align_celeba.csv", "image_id,lefteye_x,lefteye_y", [(file(one), 69 + one.i, 109) for one in pictures])


@stops("list_eval_partition.txt", "identity_CelebA.txt", "list_attr_celeba.txt", "Smiling", "0, 1 and 2", "ingest.columns")
def celeb_a_as_published(tree: Tree) -> None:
    """img_align_celeba/000001.jpg, list_attr_celeba.txt (a line with the count, one with 40 names, `000001.jpg -1  1 …`),
    list_eval_partition.txt (`000001.jpg 0`), identity_CelebA.txt (`000001.jpg 2880`): neither the partition nor the identity is the class
    without a word."""
    names = [file(one) for one in tree.pictures("img_align_celeba/{i:06}.jpg", {"x": 24}, start=1)]
    rows = [f"{name} {' '.join(f'{1 if (i * (k + 3)) % 5 < 2 else -1:2}' for k in range(len(ATTRIBUTES)))}" for i, name in enumerate(names)]
    tree.lines("list_attr_celeba.txt", [f"{len(names)}", " ".join(ATTRIBUTES), *rows])
    tree.lines("list_eval_partition.txt", (f"{name} {i // 8}" for i, name in enumerate(names)))
    tree.lines("identity_CelebA.txt", (f"{name} {i // 3}" for i, name in enumerate(names)))


@stops("train.csv", "ingest.columns")
def che_xpert(tree: Tree) -> None:
    """CheXpert-v1.0-small/{train/patient00001/study1/view1_frontal.jpg,train.csv,valid.csv} (Path,Sex,…,No Finding,Edema,… of 1.0, 0.0, -1.0, empty)."""
    for word, people in (("train", 12), ("valid", 4)):
        rows = []
        for i in range(people):
            path = f"CheXpert-v1.0-small/{word}/patient{i:05}/study1/view1_frontal.jpg"
            tree.picture(path, "x")
            rows.append((path, "Female", 60 + i, "Frontal", "AP", *(("1.0", "0.0", "-1.0", "")[(i + k) % 4] for k in range(4))))
        tree.table(f"CheXpert-v1.0-small/{word}.csv", "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Consolidation,Fracture", rows)


@stops("full_df.csv")
def ocular_diseases(tree: Tree) -> None:
    """ODIR-5K/Training Images/0_left.jpg, preprocessed_images/, full_df.csv (ID,…,N,D,G,C,A,H,M,O,filepath,labels,target,filename)."""
    rows = []
    for i in range(12):
        for folder in ("ODIR-5K/Training Images", "preprocessed_images"):
            tree.picture(f"{folder}/{i}_left.jpg", "x")
        ones = [int(k == i % 3 or (i % 4 == 0 and k == 4)) for k in range(5)]
        rows.append(
            (
                i,
                60,
                "Male",
                f"{i}_left.jpg",
                "cataract",
                *ones,
                f"../input/ODIR-5K/Training Images/{i}_left.jpg",
                f"['{'NDG'[i % 3]}']",
                f"{i}_left.jpg",
            )
        )
    tree.table("full_df.csv", "ID,Patient Age,Patient Sex,Left-Fundus,Left-Diagnostic Keywords,N,D,G,C,A,filepath,labels,filename", rows)


@stops("training_solutions_rev1.csv")
def galaxy_zoo(tree: Tree) -> None:
    """images_training_rev1/100008.jpg, images_test_rev1/100018.jpg, training_solutions_rev1.csv (GalaxyID,Class1.1,… as fractions)."""
    rows = []
    for i in range(12):
        tree.picture(f"images_training_rev1/{100008 + i}.jpg", "x")
        tree.picture(f"images_test_rev1/{200008 + i}.jpg", "x")
        rows.append((100008 + i, 0.383147 + i / 100, 0.616853 - i / 100, 0.0, 0.1 + i / 50))
    tree.table("training_solutions_rev1.csv", "GalaxyID,Class1.1,Class1.2,Class1.3,Class2.1", rows)


@stops("All_labels.txt")
def scut_fbp_5500(tree: Tree) -> None:
    """Images/CF437.jpg, train_test_files/All_labels.txt (`CF437.jpg 2.883333`): a score with fractions is no class."""
    pictures = tree.pictures("Images/CF{i}.jpg", {"x": 16})
    tree.lines("train_test_files/All_labels.txt", (f"{file(one)} {1 + one.i * 0.283333:.6f}" for one in pictures))


@stops("koniq10k_scores.csv", "MOS")
def koniq(tree: Tree) -> None:
    """1024x768/10004473376.jpg, koniq10k_scores.csv (image_name,c1,…,MOS): a mean score."""
    pictures = tree.pictures("1024x768/{i}.jpg", {"x": 16}, start=100044)
    tree.table(
        "koniq10k_scores.csv", "image_name,c1,c2,c_total,MOS", [(file(one), 0, 25 + one.i, 105, 3.19 + one.i / 10) for one in pictures]
    )


@stops("labels.csv", "words")
def words_to_read(tree: Tree) -> None:
    """images/0.jpg, labels.csv (filename,words): every label is another; as many classes as images."""
    pictures = tree.pictures("images/{i}.jpg", {"x": 16})
    tree.table("labels.csv", "filename,words", [(file(one), f"WORD{one.i}") for one in pictures])


@stops("train_labels.csv", "InChI")
def molecules(tree: Tree) -> None:
    """train/0/0/0/000011a64c74.png, train_labels.csv (image_id,InChI): as many labels as images."""
    pictures = tree.pictures("train/0/0/{i}/00{i:010x}.png", {"x": 16})
    tree.table("train_labels.csv", "image_id,InChI", [(stem(one), f"InChI=1S/C{one.i}H{2 * one.i}/c1-{one.i}") for one in pictures])


@stops("captions.txt", "caption")
def flickr_8k(tree: Tree) -> None:
    """Images/1000268201_693b08cb0e.jpg, captions.txt (image,caption; five rows a picture)."""
    pictures = tree.pictures("Images/1000{i}_693b.jpg", {"x": 10})
    tree.table(
        "captions.txt", "image,caption", [(file(one), f"A child number {one.i} , seen by {k} .") for one in pictures for k in range(5)]
    )


@stops("metadata.csv", "text")
def captions_of_hugging_face(tree: Tree) -> None:
    """train/0001.png, train/metadata.csv (file_name,text): pictures with a sentence each, for generating."""
    pictures = tree.pictures("train/{i:04}.png", {"x": 12})
    tree.table("train/metadata.csv", "file_name,text", [(file(one), f"a drawing of a green pokemon number {one.i}") for one in pictures])


@stops("list.csv")
def facial_key_points(tree: Tree) -> None:
    """images/0.jpg, list.csv (image,left_eye_x,left_eye_y,nose_x,nose_y): coordinates, and no class."""
    pictures = tree.pictures("images/{i}.jpg", {"x": 12})
    tree.table("list.csv", "image,left_eye_x,left_eye_y,nose_x,nose_y", [(file(one), 6.03 + one.i, 3.9, 8.25, 9.1) for one in pictures])


@stops("labels.xlsx")
def labels_in_a_sheet_that_cannot_be_read(tree: Tree) -> None:
    """photos_2023/, photos_2024/, labels.xlsx (broken): named; never the years as classes."""
    for year in (2023, 2024):
        tree.pictures(f"photos_{year}/{{i}}.jpg", each(3, "cat", "dog"))
    tree.put("labels.xlsx", b"PK\3\4" + bytes(100))


@stops("train_labeled_studies.csv or valid_labeled_studies.csv")
def mura(tree: Tree) -> None:
    """MURA-v1.1/{train,valid}/XR_ELBOW/patient00011/study1_negative/image1.png, train_labeled_studies.csv (no header; folder of a study,0 or 1):
    the class is in the name of the study's folder. Never the part of the body without a word."""
    for word, people in (("train", 6), ("valid", 3)):
        rows = []
        for bone in ("XR_ELBOW", "XR_HAND"):
            for i in range(people):
                study = f"MURA-v1.1/{word}/{bone}/patient{i:05}/study1_{('negative', 'positive')[i % 2]}"
                tree.picture(f"{study}/image1.png", "x")
                rows.append((f"{study}/", i % 2))
        tree.table(f"MURA-v1.1/{word}_labeled_studies.csv", "", rows)


@stops("imagelabels.mat")
def flowers_102(tree: Tree) -> None:
    """jpg/image_00001.jpg, imagelabels.mat, setid.mat: the labels are in files of MATLAB, which are named."""
    tree.pictures("jpg/image_{i:05}.jpg", {"x": 12}, start=1)
    for name in ("imagelabels.mat", "setid.mat"):
        tree.put(name, b"MATLAB 5.0 MAT-file, Platform: GLNX86" + bytes(120))


@stops("cars_train", "cars_train_annos.mat or .mat")
def stanford_cars(tree: Tree) -> None:
    """cars_train/00001.jpg, cars_test/00001.jpg, devkit/{cars_train_annos,cars_meta}.mat: never the classes cars_train and cars_test."""
    for word in ("train", "test"):
        tree.pictures(f"cars_{word}/{{i:05}}.jpg", {"x": 8}, start=1)
    for name in ("cars_meta.mat", "cars_train_annos.mat", "cars_test_annos.mat"):
        tree.put(f"devkit/{name}", b"MATLAB 5.0 MAT-file" + bytes(120))


@reads_or_stops(
    "anno_train.csv",
    train=each(5, "AM General Hummer SUV 2000", "Acura RL Sedan 2012"),
    test=each(3, "AM General Hummer SUV 2000", "Acura RL Sedan 2012"),
)
def stanford_cars_of_kaggle(tree: Tree) -> None:
    """car_data/car_data/{train,test}/Acura RL Sedan 2012/00001.jpg, anno_{train,test}.csv (no header; name, box, number), names.csv."""
    cars = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012")
    for split, count, start in (("train", 5, 1), ("test", 3, 50)):
        pictures = tree.pictures(f"car_data/car_data/{split}/{{label}}/{{i:05}}.jpg", each(count, *cars), split, start=start)
        tree.table(f"anno_{split}.csv", "", [(file(one), 39, 116, 569 + one.i, 375, cars.index(one.label) + 1) for one in pictures])
    tree.lines("names.csv", cars)


@stops(
    "images_family_test.txt",
    "images_manufacturer_train.txt",
    "images_variant_val.txt",
    advice=[
        (
            {"ignore": [f"fgvc-aircraft-2013b/data/images_{kind}_{word}.txt" for kind in ("manufacturer", "variant") for word in PARTS]},
            right(train=each(4, "Boeing 707", "A300"), validation=each(2, "Boeing 707", "A300"), test=each(2, "Boeing 707", "A300")),
        )
    ],
)
def fgvc_aircraft(tree: Tree) -> None:
    """fgvc-aircraft-2013b/data/{images/1025794.jpg,images_{variant,family,manufacturer}_{train,val,test}.txt} (`1025794 707-320`): three levels
    of classes to choose from."""
    root = "fgvc-aircraft-2013b/data"
    kinds = {"variant": ("707-320", "A300B4"), "family": ("Boeing 707", "A300"), "manufacturer": ("Boeing", "Airbus")}
    start = 0
    for word, count in (("train", 8), ("val", 4), ("test", 4)):
        pictures = tree.pictures(f"{root}/images/10{{i:05}}.jpg", {"x": count}, start=start)
        start += count
        for kind, names in kinds.items():
            tree.lines(f"{root}/images_{kind}_{word}.txt", (f"{stem(one)} {names[one.i % 2]}" for one in pictures))
        tree.lines(f"{root}/images_{word}.txt", map(stem, pictures))
    tree.lines(f"{root}/images_box.txt", (f"10{i:05} 2 1 9 9" for i in range(start)))


DTD = each(10, "banded", "dotted")
DTD_LISTS = [f"dtd/labels/{word}{k}.txt" for k in range(2, 11) for word in PARTS]


@stops(
    "labels",
    "train1.txt",
    advice=[
        ({"format": "folders"}, right(none=DTD)),
        ({"ignore": ["dtd/labels/*"]}, right(none=DTD)),
        ({"ignore": DTD_LISTS}, right(none=DTD, any_split=True)),
    ],
)
def describable_textures(tree: Tree) -> None:
    """dtd/images/banded/banded_0002.jpg, dtd/labels/{train1,val1,test1,…,train10,val10,test10}.txt, labels_joint_anno.txt, imdb/imdb.mat: ten splits."""
    pictures = tree.pictures("dtd/images/{label}/{label}_{n:04}.jpg", DTD)
    for k in range(1, 11):
        for word, part in (("train", 0), ("val", 1), ("test", 2)):
            tree.lines(f"dtd/labels/{word}{k}.txt", (f"{one.label}/{file(one)}" for one in pictures if (one.n + k) % 3 == part))
    tree.lines("dtd/labels/labels_joint_anno.txt", (f"{one.label}/{file(one)} {one.label} grid" for one in pictures))
    tree.put("dtd/imdb/imdb.mat", b"MATLAB 5.0 MAT-file" + bytes(120))


PLACES = each(4, "airfield", "bar")


@reads_or_stops("train.txt or val.txt", none=PLACES, validation=each(2, "airfield", "bar"), naming={"airfield": "0", "bar": "1"})
def places_365(tree: Tree) -> None:
    """places365_standard/{train,val}/airfield/00000001.jpg, train.txt and val.txt (`train/airfield/00000001.jpg`): lists and folders agree."""
    for word, split, count in (("train", None, 4), ("val", "validation", 2)):
        pictures = tree.pictures(f"places365_standard/{word}/{{label}}/{{i:08}}.jpg", each(count, "airfield", "bar"), split)
        tree.lines(f"places365_standard/{word}.txt", (one.path.removeprefix("places365_standard/") for one in pictures))


@reads_or_stops("places365_train_standard.txt or ingest.class_from", none=each(4, "airfield", "bar"), naming={"airfield": "0", "bar": "1"})
def places_365_large(tree: Tree) -> None:
    """data_256/{a/airfield,b/bar}/00000001.jpg, places365_train_standard.txt (`/a/airfield/00000001.jpg 0`), categories_places365.txt
    (`/a/airfield 0`). Never the classes a and b."""
    pictures = tree.pictures("data_256/a/{label}/{i:08}.jpg", {"airfield": 4}) + tree.pictures("data_256/b/{label}/{i:08}.jpg", {"bar": 4})
    tree.lines("places365_train_standard.txt", (f"/{one.path.removeprefix('data_256/')} {int(one.label == 'bar')}" for one in pictures))
    tree.lines("categories_places365.txt", ("/a/airfield 0", "/b/bar 1"))


@reads_or_stops("tags.tsv", none=each(6, "food", "toy"))
def ml_net(tree: Tree) -> None:
    """assets/images/0.jpg, assets/images/tags.tsv (no header; `0.jpg<tab>food`)."""
    pictures = tree.pictures("assets/images/{i}.jpg", each(6, "food", "toy"))
    tree.lines("assets/images/tags.tsv", (f"{file(one)}\t{one.label}" for one in pictures))


@reads_or_stops("train.txt", none=None, train=each(6, "negative", "positive"), test=each(3, "negative", "positive"))
def covidx(tree: Tree) -> None:
    """{train,test}/x.png, {train,test}.txt (no header; `patient file class source`)."""
    for split, count in (("train", 6), ("test", 3)):
        pictures = tree.pictures(f"{split}/{split}{{i}}.png", each(count, "negative", "positive"), split)
        tree.lines(f"{split}.txt", (f"{one.i // 2} {file(one)} {one.label} {('cohen', 'rsna')[one.n % 2]}" for one in pictures))


@stops("chinese_mnist.csv")
def chinese_mnist(tree: Tree) -> None:
    """data/data/input_1_1_10.jpg, chinese_mnist.csv (suite_id,sample_id,code,value,character): the name is put together from three columns."""
    rows = []
    for i in range(16):
        tree.picture(f"data/data/input_{i // 4 + 1}_{i % 2 + 1}_{i % 4 + 1}{i}.jpg", "x")
        rows.append((i // 4 + 1, i % 2 + 1, f"{i % 4 + 1}{i}", (9, 10, 100, 1000)[i % 4], "九十百千"[i % 4]))
    tree.table("chinese_mnist.csv", "suite_id,sample_id,code,value,character", rows)


@reads(none=each(5, "cat", "dog"))
def rows_without_files(tree: Tree) -> None:
    """images/10.jpg … and labels.csv, which also lists files that are not there: they are named, and the rest is read."""
    pictures = tree.pictures("images/{i}.jpg", each(5, "cat", "dog"), start=10)
    missing = [f"images/{i}.jpg" for i in (1, 2)]
    tree.table("labels.csv", "filename,label", [*((path, "cat") for path in missing), *((one.path, one.label) for one in pictures)])
    tree.strays += missing


@reads(none=each(5, "cat", "dog"))
def half_of_the_rows_without_files(tree: Tree) -> None:
    """The same where the first half of the table is of files that are not there: it is not true that none is."""
    pictures = tree.pictures("images/{i}.jpg", each(5, "cat", "dog"), start=100)
    missing = [f"images/{i}.jpg" for i in range(10)]
    tree.table("labels.csv", "filename,label", [*((path, "cat") for path in missing), *((one.path, one.label) for one in pictures)])
    tree.strays += missing


@stops("detection", "_annotations.csv")
def roboflow_boxes(tree: Tree) -> None:
    """train/{0.jpg,_annotations.csv} (filename,width,height,class,xmin,ymin,xmax,ymax; a row per box): a detection set."""
    rows = []
    for one in tree.pictures("train/{i}.jpg", each(10, "cat", "dog")):
        rows.append((file(one), 40, 40, one.label, 1, 1, 20, 20))
        if one.i % 5 == 0:
            rows.append((file(one), 40, 40, one.label, 5, 5, 30, 30))
        if one.i % 9 == 1:
            rows.append((file(one), 40, 40, "cat" if one.label == "dog" else "dog", 5, 5, 30, 30))
    tree.table("train/_annotations.csv", "filename,width,height,class,xmin,ymin,xmax,ymax", rows)


@stops("detection", "_annotations.coco.json")
def roboflow_coco(tree: Tree) -> None:
    """{train,valid}/{0.jpg,_annotations.coco.json}: never the classes train and valid."""
    for word, count in (("train", 10), ("valid", 5)):
        pictures = tree.pictures(f"{word}/{{i}}.jpg", {"x": count})
        tree.json(f"{word}/_annotations.coco.json", _coco([file(one) for one in pictures]))


def _coco(names: list[str]) -> dict[str, object]:
    boxes = [
        {"id": k, "image_id": k % len(names), "category_id": 1 + k % 2, "bbox": [1, 2, 9, 9], "area": 81, "iscrowd": 0}
        for k in range(2 * len(names))
    ]
    images = [{"id": k, "file_name": name, "width": 16, "height": 16} for k, name in enumerate(names)]
    return {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}


@stops("detection", "instances_train2017.json or annotations")
def coco_2017(tree: Tree) -> None:
    """{train2017,val2017}/000000000009.jpg, annotations/{instances,captions,person_keypoints}_{train,val}2017.json."""
    for word, count in (("train", 10), ("val", 5)):
        names = [file(one) for one in tree.pictures(f"{word}2017/{word}{{i:012}}.jpg", {"x": count})]
        for kind in ("instances", "person_keypoints"):
            tree.json(f"annotations/{kind}_{word}2017.json", _coco(names))
        captions = [{"image_id": i, "id": i, "caption": f"A bike of {i}."} for i in range(count)]
        tree.json(f"annotations/captions_{word}2017.json", {"images": [], "annotations": captions})


@stops("detection or segmentation", "Annotations")
def pascal_voc(tree: Tree) -> None:
    """VOCdevkit/VOC2007/{JPEGImages/000005.jpg,Annotations/000005.xml,ImageSets/Main/cat_train.txt,SegmentationClass/000005.png}."""
    root = "VOCdevkit/VOC2007"
    names = [stem(one) for one in tree.pictures(f"{root}/JPEGImages/{{i:06}}.jpg", {"x": 12})]
    for name in names:
        tree.text(
            f"{root}/Annotations/{name}.xml",
            f"<annotation><filename>{name}.jpg</filename><object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object></annotation>",
        )
    for label in ("cat", "dog"):
        tree.lines(f"{root}/ImageSets/Main/{label}_train.txt", (f"{name} {(-1, 1)[i % 2]:2}" for i, name in enumerate(names)))
    for i, name in enumerate(names[:4]):
        tree.put(f"{root}/SegmentationClass/{name}.png", mask(i))


@stops("detection", "labels")
def yolo(tree: Tree) -> None:
    """coco128/{images,labels}/{train2017}/0.jpg and 0.txt, data.yaml: boxes in a file for each picture."""
    for one in tree.pictures("images/{word}/{i}.jpg", {"train": 10, "val": 5}):
        tree.text(f"labels/{one.label}/{one.i}.txt", f"{one.i % 2} 0.48 0.63 0.69 0.71\n1 0.74 0.52 0.31 0.93\n")
    tree.text("data.yaml", "train: images/train\nval: images/val\nnc: 2\nnames: [cat, dog]\n")


@stops("detection", "labels")
def roboflow_yolo(tree: Tree) -> None:
    """{train,valid,test}/{images/0.jpg,labels/0.txt}, data.yaml: never the class images."""
    for word, count in (("train", 10), ("valid", 4), ("test", 4)):
        for one in tree.pictures(f"{word}/images/{{i}}_jpg.rf.0a.jpg", {"x": count}):
            tree.text(f"{word}/labels/{one.i}_jpg.rf.0a.txt", "0 0.48 0.63 0.69 0.71\n")
    tree.text("data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\n")


@stops("detection or segmentation")
def label_me(tree: Tree) -> None:
    """images/{0.jpg,0.json} with shapes (polygons with labels): a segmentation set."""
    for one in tree.pictures("images/{i}.jpg", each(6, "cat", "dog")):
        shape = {"label": one.label, "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
        tree.json(
            f"images/{one.i}.json", {"version": "5.2.1", "flags": {}, "shapes": [shape, shape], "imagePath": file(one), "imageData": None}
        )


@stops("detection", "train-annotations-bbox.csv")
def open_images(tree: Tree) -> None:
    """train/000002b66c9c498e.jpg, train-annotations-bbox.csv (ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,…)."""
    pictures = tree.pictures("train/{i:016x}.jpg", each(6, "/m/01g317", "/m/01yrx"))
    rows = [(stem(one), "xclick", one.label, 1, 0.1 * k, 0.5, 0.2, 0.9, 0) for one in pictures for k in (1, 2)]
    tree.table("train-annotations-bbox.csv", "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded", rows)


@stops("detection", "train.csv")
def global_wheat(tree: Tree) -> None:
    """train/b6ab77fd7.jpg, test/, train.csv (image_id,width,height,bbox,source; a row per box): never `source` as the class."""
    pictures = tree.pictures("train/{i:09x}.jpg", each(6, "usask_1", "arvalis_1"))
    tree.unlabelled("test/{i:09x}.jpg", 4, start=900)
    tree.table(
        "train.csv",
        "image_id,width,height,bbox,source",
        [(stem(one), 1024, 1024, f"[{k}34.0, 222.0, 56.0, 36.0]", one.label) for one in pictures for k in (1, 2)],
    )


def workbook(sheets: Mapping[str, Sequence[Sequence[str]]]) -> bytes:
    """An .xlsx workbook of sheets of text. An empty row is left out, as Excel does."""
    main, rel = (
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    )
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    numbers = range(1, len(sheets) + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        + "".join(f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{kind}.worksheet+xml"/>' for i in numbers)
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{rel}/officeDocument" Target="xl/workbook.xml"/>'
        "</Relationships>",
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, name in enumerate(sheets, 1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(f'<Relationship Id="r{i}" Type="{rel}/worksheet" Target="worksheets/sheet{i}.xml"/>' for i in numbers)
        + "</Relationships>",
    }
    for i, rows in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{i}.xml"] = f'<worksheet xmlns="{main}"><sheetData>{_cells(rows)}</sheetData></worksheet>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, f"<?xml version='1.0' encoding='UTF-8'?>{content}")
    return buffer.getvalue()


def _cells(rows: Sequence[Sequence[str]]) -> str:
    return "".join(
        f'<row r="{r}">'
        + "".join(f'<c r="{"ABCDEF"[c]}{r}" t="inlineStr"><is><t>{cell}</t></is></c>' for c, cell in enumerate(row) if cell)
        + "</row>"
        for r, row in enumerate(rows, 1)
        if row
    )


YEARS = each(6, "cat", "dog")


def _of_years(tree: Tree) -> list[tuple[str, str]]:
    return [(one.path, one.label) for year in (2023, 2024) for one in tree.pictures(f"photos_{year}/{{i}}.jpg", each(3, "cat", "dog"))]


@reads_or_stops("labels.xlsx", none=YEARS)
def labels_in_a_sheet(tree: Tree) -> None:
    """photos_2023/, photos_2024/, labels.xlsx (image_name,label): read with the extra for sheets, else named."""
    tree.put("labels.xlsx", workbook({"Sheet1": [("image_name", "label"), *_of_years(tree)]}))


@reads(none=YEARS)
def labels_in_tabs(tree: Tree) -> None:
    """photos_2023/, photos_2024/, meta/labels.tsv: a table in a folder of its own, with paths from the top."""
    tree.table("meta/labels.tsv", "image_name,label", _of_years(tree), delimiter="\t")


@reads(none=YEARS)
def labels_in_json_lines(tree: Tree) -> None:
    """photos_2023/, photos_2024/, labels.jsonl."""
    tree.lines("labels.jsonl", (json.dumps({"image": path, "label": label}) for path, label in _of_years(tree)))


@reads(none=YEARS)
def labels_in_parquet(tree: Tree) -> None:
    """photos_2023/, photos_2024/, labels.parquet of paths and labels."""
    paths, labels = zip(*_of_years(tree), strict=True)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": list(paths), "label": list(labels)}), buffer)
    tree.put("labels.parquet", buffer.getvalue())


@stops("notes.csv", "place", "weather", "ingest.columns")
def table_of_something_else_beside_folders(tree: Tree) -> None:
    """{cat,dog}/0.jpg and notes.csv (file,place,weather): it lists every picture, so that it may be meant."""
    pictures = tree.pictures("{label}/{i}.jpg", YEARS)
    rows = [(one.path, ("garden", "house")[one.i % 3 % 2], ("rain", "sun", "fog")[one.i % 3]) for one in pictures]
    tree.table("notes.csv", "file,place,weather", rows)


@stops(
    "labels.csv",
    "cat",
    "tabby",
    advice=[({"format": "folders"}, right(none=YEARS)), ({"format": "table"}, right(none=each(4, "poodle", "siamese", "tabby")))],
)
def table_with_other_classes_than_the_folders(tree: Tree) -> None:
    """{cat,dog}/0.jpg and labels.csv (image,label) with breeds: two readings, and both are shown."""
    pictures = tree.pictures("{label}/{i}.jpg", YEARS)
    tree.table("labels.csv", "image,label", [(one.path, ("tabby", "poodle", "siamese")[one.i % 3]) for one in pictures])


@stops("labels.csv", "test", advice=[({"format": "folders"}, right(train=YEARS, test=each(3, "cat", "dog")))])
def table_with_another_split_than_the_folders(tree: Tree) -> None:
    """{train,test}/{cat,dog}/0.jpg and labels.csv (image,label,split), which calls some pictures of train test."""
    pictures = [
        one
        for word, count in (("train", 6), ("test", 3))
        for one in tree.pictures(f"{word}/{{label}}/{{i}}.jpg", each(count, "cat", "dog"))
    ]
    tree.table("labels.csv", "image,label,split", [(one.path, one.label, ("train", "test")[one.i % 2]) for one in pictures])


@reads(none=YEARS)
def table_that_says_what_the_folders_say(tree: Tree) -> None:
    """{cat,dog}/0.jpg and labels.csv (image,label) with the same classes."""
    pictures = tree.pictures("{label}/{i}.jpg", YEARS)
    tree.table("labels.csv", "image,label", [(one.path, one.label) for one in pictures])


@stops("project-1.csv or choice", "ingest.multi_label")
def label_studio_with_several_choices(tree: Tree) -> None:
    """Label Studio's CSV where several boxes may be ticked: {"choices": ["cat", "dog"]} in some cells."""
    pictures = tree.pictures("upload/1/8c6f{i:04x}-{i}.jpg", YEARS)
    rows = [
        (f"/data/{one.path}", one.i, one.label if one.i % 4 else '{"choices":["cat","dog"]}', 1, one.i, "x", "x", 1.5) for one in pictures
    ]
    tree.table("project-1.csv", LABEL_STUDIO, rows)


@reads_or_stops("base64", "prodigy.jsonl", none=YEARS)
def prodigy(tree: Tree) -> Path:
    """Prodigy's JSON lines: {"image": "data:image/png;base64,…", "accept": ["cat"], "answer": "accept"}."""
    rows = []
    for i in range(12):
        label = ("cat", "dog")[i % 2]
        content = base64.b64encode(tree.known(tree.draw(), f"row {i}", label)).decode()
        rows.append({"image": f"data:image/png;base64,{content}", "accept": [label], "answer": "accept"})
    return tree.lines("prodigy.jsonl", map(json.dumps, rows))


@stops("via_project.csv", "region or detection")
def via(tree: Tree) -> None:
    """images/0.jpg, via_project.csv (filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes)."""
    header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    box = '{"name":"rect","x":1,"y":2,"width":9,"height":9}'
    pictures = tree.pictures("images/{i}.jpg", YEARS)
    rows = [(file(one), 900, "{}", 2, k, box, json.dumps({"kind": one.label})) for one in pictures for k in (0, 1)]
    tree.table("via_project.csv", header, rows)


@reads_or_stops("metadata.json", none=each(6, "0", "1"), naming={"0": "Acer rubrum", "1": "Quercus alba"})
def herbarium(tree: Tree) -> None:
    """nybg2020/train/{images/000/00/0.jpg,metadata.json} (images, annotations with category_id, categories): labels as COCO writes them."""
    pictures = tree.pictures("nybg2020/train/images/000/{n:02}/{i}.jpg", each(6, "0", "1"))
    images = [{"id": one.i, "file_name": one.path.removeprefix("nybg2020/train/")} for one in pictures]
    annotations = [{"id": one.i, "image_id": one.i, "category_id": int(one.label), "region_id": 0} for one in pictures]
    categories = [{"id": 0, "name": "Acer rubrum"}, {"id": 1, "name": "Quercus alba"}]
    tree.json("nybg2020/train/metadata.json", {"images": images, "annotations": annotations, "categories": categories})
