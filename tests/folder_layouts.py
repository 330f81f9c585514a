"""Well-known data sets whose classes are folders, or stand in the names of files."""

from tests.layout_trees import Tree, each, mask, reads, reads_or_stops, right, stops

CATS = each(6, "cats", "dogs")
FEW = each(3, "cats", "dogs")


@reads(none=each(5, "daisy", "roses", "tulips"))
def flower_photos(tree: Tree) -> None:
    """flower_photos/daisy/100.jpg … and LICENSE.txt: the classes are the folders."""
    tree.pictures("flower_photos/{label}/{i}.jpg", each(5, "daisy", "roses", "tulips"))
    tree.text("flower_photos/LICENSE.txt", "CC-BY")


@reads(none=each(10, "cat", "dog"))
def dogs_vs_cats(tree: Tree) -> None:
    """Kaggle's dogs-vs-cats: train/cat.0.jpg, train/dog.0.jpg, test1/1.jpg, sampleSubmission.csv (id,label with 0 in each row).
    The class stands in the file's name; test1/ has no labels."""
    tree.pictures("train/{label}.{n}.jpg", each(10, "cat", "dog"))
    tree.unlabelled("test1/{i}.jpg", 6, start=1)
    tree.table("sampleSubmission.csv", "id,label", [(i, 0) for i in range(1, 7)])


@reads(none=each(10, "cat", "dog"))
def dogs_vs_cats_redux(tree: Tree) -> None:
    """Kaggle's redux edition: train/cat.0.jpg, test/1.jpg, sample_submission.csv with a probability of 0.5 in each row."""
    tree.pictures("train/{label}.{n}.jpg", each(10, "cat", "dog"))
    tree.unlabelled("test/{i}.jpg", 6, start=1)
    tree.table("sample_submission.csv", "id,label", [(i, 0.5) for i in range(1, 7)])


@reads(train=CATS, test=FEW)
def cats_and_dogs_doubled(tree: Tree) -> None:
    """training_set/training_set/{cats,dogs}/x.jpg and test_set/test_set/…, a file _DS_Store in each: both splits are kept."""
    for split, counts in (("training", CATS), ("test", FEW)):
        tree.pictures(f"{split}_set/{split}_set/{{label}}/{{label}}.{{i}}.jpg", counts, "train" if split == "training" else "test")
        for label in counts:
            tree.text(f"{split}_set/{split}_set/{label}/_DS_Store", "x")


def _pair(name: str, train: str, test: str) -> None:
    def build(tree: Tree) -> None:
        tree.pictures(f"{train}/{{label}}/{{i}}.jpg", CATS, "train")
        tree.pictures(f"{test}/{{label}}/{{i}}.jpg", FEW, "test")

    build.__name__ = f"split_pair_{name}"
    reads(train=CATS, test=FEW)(build)


for number, pair in enumerate(
    [
        ("train_set", "test_set"),
        ("Train_Data", "Test_Data"),
        ("Training Set", "Test Set"),
        ("data_train", "data_test"),
        ("TRAIN", "TEST"),
        ("training", "testing"),
        ("Training Data", "Testing Data"),  # Create ML
        ("train_images", "test_images"),
        ("images_train", "images_test"),
        ("fer_train", "fer_test"),
        ("train-set", "test-set"),
        ("traindata", "testdata"),
        ("simpsons_dataset_train", "simpsons_dataset_test"),
        ("Dataset/train", "Dataset/test"),
        ("data/images/train", "data/images/test"),
    ]
):
    _pair(f"{number}_{pair[0]}".replace("/", "_").replace(" ", "_"), *pair)


@reads(none=CATS, validation=FEW)
def train_and_dev(tree: Tree) -> None:
    """train/{cats,dogs}, dev/{cats,dogs}: dev is a validation split, so that a share of train is held out for the test."""
    tree.pictures("train/{label}/{i}.jpg", CATS)
    tree.pictures("dev/{label}/{i}.jpg", FEW, "validation")


@reads(none=each(6, "ants", "bees"), validation=each(4, "ants", "bees"))
def hymenoptera(tree: Tree) -> None:
    """PyTorch's tutorial: hymenoptera_data/{train,val}/{ants,bees}/x.jpg."""
    tree.pictures("hymenoptera_data/train/{label}/{i}_b.jpg", each(6, "ants", "bees"))
    tree.pictures("hymenoptera_data/val/{label}/{i}_b.jpg", each(4, "ants", "bees"), "validation")


@reads(none=CATS, validation=FEW)
def cats_and_dogs_with_flat_test(tree: Tree) -> None:
    """cats_and_dogs/{train,validation}/{cats,dogs}/x.jpg and cats_and_dogs/test/1.jpg: test has no labels and is left out by name."""
    tree.pictures("cats_and_dogs/train/{label}/{i}.jpg", CATS)
    tree.pictures("cats_and_dogs/validation/{label}/{i}.jpg", FEW, "validation")
    tree.unlabelled("cats_and_dogs/test/{i}.jpg", 5)


@reads(train=each(5, "buildings", "forest", "sea"), test=each(3, "buildings", "forest", "sea"))
def intel_scenes(tree: Tree) -> None:
    """Intel's scenes: seg_train/seg_train/{buildings,…}, seg_test/seg_test/{…}, seg_pred/seg_pred/10.jpg without labels."""
    tree.pictures("seg_train/seg_train/{label}/{i}.jpg", each(5, "buildings", "forest", "sea"), "train")
    tree.pictures("seg_test/seg_test/{label}/{i}.jpg", each(3, "buildings", "forest", "sea"), "test", start=20)
    tree.unlabelled("seg_pred/seg_pred/{i}.jpg", 6)


@reads(train=each(5, "NORMAL", "PNEUMONIA"), validation=each(2, "NORMAL", "PNEUMONIA"), test=each(3, "NORMAL", "PNEUMONIA"))
def chest_xray(tree: Tree) -> None:
    """chest_xray/{train,val,test}/{NORMAL,PNEUMONIA}/x.jpeg beside __MACOSX/ and files .DS_Store, as the zip of a Mac has them."""
    for split, word, count in (("train", "train", 5), ("validation", "val", 2), ("test", "test", 3)):
        for picture in tree.pictures(f"chest_xray/{word}/{{label}}/{word}-{{i}}.jpeg", each(count, "NORMAL", "PNEUMONIA"), split):
            tree.put(f"__MACOSX/{picture.path.rsplit('/', 1)[0]}/._{word}-{picture.i}.jpeg", b"\0\5\26\7\0\2\0\0Mac OS X" + bytes(60))
        tree.text(f"chest_xray/{word}/.DS_Store", "x")


@reads_or_stops("chest_xray/chest_xray", "repeat or same or twice or copy or copies", train=CATS, test=FEW)
def set_inside_itself(tree: Tree) -> None:
    """chest_xray/{train,test}/… and again chest_xray/chest_xray/{train,test}/… with the same files, as in Kaggle's copy: said, not counted twice."""
    for split, counts in (("train", CATS), ("test", FEW)):
        for picture in tree.pictures(f"chest_xray/{split}/{{label}}/{{i}}.jpg", counts, split):
            tree.copy(picture.path, f"chest_xray/{picture.path}")


@reads_or_stops("cell_images/cell_images", "repeat or same or twice or copy or copies", none=each(8, "Parasitized", "Uninfected"))
def malaria_cells(tree: Tree) -> None:
    """cell_images/{Parasitized,Uninfected}/x.png, a Thumbs.db in each, and all of it again in cell_images/cell_images/."""
    for picture in tree.pictures("cell_images/{label}/C{i}.png", each(8, "Parasitized", "Uninfected")):
        tree.copy(picture.path, f"cell_images/{picture.path}")
    for label in ("Parasitized", "Uninfected"):
        tree.text(f"cell_images/{label}/Thumbs.db", "x")
        tree.text(f"cell_images/cell_images/{label}/Thumbs.db", "x")


@reads_or_stops("flowers/flowers", "repeat or same or twice or copy or copies", none=each(6, "daisy", "rose", "tulip"))
def flowers_recognition(tree: Tree) -> None:
    """flowers/{daisy,rose,tulip}/x.jpg and the set once more below it, as flowers/flowers/{…}."""
    for picture in tree.pictures("flowers/{label}/{i}.jpg", each(6, "daisy", "rose", "tulip")):
        tree.copy(picture.path, f"flowers/{picture.path}")


@reads(train=each(5, "glioma", "meningioma", "notumor"), test=each(3, "glioma", "meningioma", "notumor"))
def brain_tumour(tree: Tree) -> None:
    """Brain tumours (MRI): Training/{glioma,…}/Tr-gl_0010.jpg, Testing/{…}/Te-gl_0010.jpg."""
    tree.pictures("Training/{label}/Tr-{i:04}.jpg", each(5, "glioma", "meningioma", "notumor"), "train")
    tree.pictures("Testing/{label}/Te-{i:04}.jpg", each(3, "glioma", "meningioma", "notumor"), "test")


@reads(train=each(5, "Bread", "Egg", "Soup"), validation=each(2, "Bread", "Egg", "Soup"), test=each(3, "Bread", "Egg", "Soup"))
def food_11(tree: Tree) -> None:
    """Food-11: training/, validation/ and evaluation/, which is its test split."""
    for word, split, count in (("training", "train", 5), ("validation", "validation", 2), ("evaluation", "test", 3)):
        tree.pictures(f"food11/{word}/{{label}}/{{n}}.jpg", each(count, "Bread", "Egg", "Soup"), split)


@reads(train=each(5, "Apple Braeburn", "Kiwi"), test=each(3, "Apple Braeburn", "Kiwi"))
def fruits_360(tree: Tree) -> None:
    """Fruits-360: Training/, Test/, and beside them test-multiple_fruits/ (several fruits a picture), papers/, LICENSE, readme.md."""
    tree.pictures("fruits-360/Training/{label}/{n}_100.jpg", each(5, "Apple Braeburn", "Kiwi"), "train")
    tree.pictures("fruits-360/Test/{label}/{n}_100.jpg", each(3, "Apple Braeburn", "Kiwi"), "test")
    tree.stray("fruits-360/test-multiple_fruits/apple_apricot_{i}.jpg", 3)
    tree.put("fruits-360/papers/Mihai_2018.pdf", b"%PDF-1.4 " + bytes(90))
    tree.text("fruits-360/LICENSE", "MIT")
    tree.text("fruits-360/readme.md", "# Fruits")


RPS = ("paper", "rock", "scissors")


@reads_or_stops("rps-test-set", train=each(5, *RPS), test=each(3, *RPS))
def rock_paper_scissors(tree: Tree) -> None:
    """rps/{rock,…}/x.png, rps-test-set/{rock,…}/x.png, rps-validation/rock1.png (flat): rps/ is the training split, though it does not say so.
    What must not come out: the classes rps and rps-test-set."""
    tree.pictures("rps/{label}/{label}01-{n:03}.png", each(5, *RPS), "train")
    tree.pictures("rps-test-set/{label}/test{label}-{n:02}.png", each(3, *RPS), "test")
    tree.unlabelled("rps-validation/rock{i}.png", 4)


@reads_or_stops("validation-horse-or-human", none=each(5, "horses", "humans"), validation=each(3, "horses", "humans"))
def horse_or_human(tree: Tree) -> None:
    """horse-or-human/{horses,humans}/x.png and validation-horse-or-human/{horses,humans}/x.png."""
    tree.pictures("horse-or-human/{label}/{label}01-{n}.png", each(5, "horses", "humans"))
    tree.pictures("validation-horse-or-human/{label}/{label}1-{n}.png", each(3, "horses", "humans"), "validation")


@reads(none=each(5, "cane", "cavallo", "elefante"))
def animals_10(tree: Tree) -> None:
    """raw-img/{cane,cavallo,…}/x.jpeg and translate.py, a program with the English names: the classes are the folders."""
    tree.pictures("raw-img/{label}/OIP-{i}.jpeg", each(5, "cane", "cavallo", "elefante"))
    tree.text("translate.py", 'translate = {"cane": "dog", "cavallo": "horse", "elefante": "elephant"}\n')


@reads(none=each(5, "Black-grass", "Charlock", "Cleavers"))
def plant_seedlings(tree: Tree) -> None:
    """train/{Black-grass,…}/x.png, test/x.png without labels, sample_submission.csv (file,species with one species in each row)."""
    tree.pictures("train/{label}/{i:09}.png", each(5, "Black-grass", "Charlock", "Cleavers"))
    tree.unlabelled("test/{i:09}.png", 6, start=900)
    tree.table("sample_submission.csv", "file,species", [(f"{900 + i:09}.png", "Sugar beet") for i in range(6)])


@reads(train=each(6, "n01", "n02"), validation=each(3, "n01", "n02"), test=each(3, "n01", "n02"))
def ultralytics(tree: Tree) -> None:
    """A classification set of Ultralytics: dataset/{train,val,test}/{class}/x.jpg."""
    for split, word, count in (("train", "train", 6), ("validation", "val", 3), ("test", "test", 3)):
        tree.pictures(f"dataset/{word}/{{label}}/{{i}}.jpg", each(count, "n01", "n02"), split)


@reads_or_stops(
    "noisy_imagenette.csv",
    "noisy_labels_0",
    none=each(6, "n01440764", "n02102040"),
    validation=each(3, "n01440764", "n02102040"),
    advice=[({"format": "folders"}, right(none=each(6, "n01440764", "n02102040"), validation=each(3, "n01440764", "n02102040")))],
)
def imagenette(tree: Tree) -> None:
    """train/n01440764/x.JPEG, val/…, noisy_imagenette.csv (path,noisy_labels_0,noisy_labels_1,…,is_valid): the first column of labels
    is that of the folders, each other has labels wrong on purpose. A stop, or the folders; never the noisy ones."""
    rows = []
    for word, split, count in (("train", None, 6), ("val", "validation", 3)):
        for one in tree.pictures(f"{word}/{{label}}/{{label}}_{{i}}.JPEG", each(count, "n01440764", "n02102040"), split):
            noisy = "n02102040" if one.n == 0 else one.label
            rows.append((one.path, one.label, noisy, noisy, split == "validation"))
    tree.table("noisy_imagenette.csv", "path,noisy_labels_0,noisy_labels_1,noisy_labels_5,is_valid", rows)


TINY = ("n01443537", "n01629819", "n01641577")


@reads(none=each(6, *TINY), validation=each(4, *TINY))
def tiny_imagenet(tree: Tree) -> None:
    """tiny-imagenet-200/train/n01443537/images/n01443537_0.JPEG with n01443537_boxes.txt, val/images/val_0.JPEG with val_annotations.txt,
    test/images/test_0.JPEG without labels, wnids.txt, words.txt. The classes of val stand in its annotations."""
    root = "tiny-imagenet-200"
    train = tree.pictures(f"{root}/train/{{label}}/images/{{label}}_{{n}}.JPEG", each(6, *TINY))
    for label in TINY:
        tree.lines(
            f"{root}/train/{label}/{label}_boxes.txt", (f"{one.path.rsplit('/')[-1]}\t0\t0\t9\t9" for one in train if one.label == label)
        )
    val = tree.pictures(f"{root}/val/images/val_{{i}}.JPEG", each(4, *TINY), "validation")
    tree.lines(
        f"{root}/val/val_annotations.txt",
        (f"val_{one.i}.JPEG\t{one.label}\t{one.i % 3}\t{32 + one.i % 4}\t44\t{50 + one.i % 5}" for one in val),
    )
    tree.unlabelled(f"{root}/test/images/test_{{i}}.JPEG", 6)
    tree.lines(f"{root}/wnids.txt", TINY)
    tree.lines(f"{root}/words.txt", ("n00001740\tentity", "n01443537\tgoldfish, Carassius auratus", "n01629819\tEuropean fire salamander"))


@reads(none=each(6, *TINY), validation=each(4, *TINY))
def imagenet_with_a_list_for_val(tree: Tree) -> None:
    """ImageNet: train/n01440764/x.JPEG, val/ILSVRC2012_val_00000001.JPEG (flat), val.txt with `name wnid` a line."""
    tree.pictures("train/{label}/{label}_{n}.JPEG", each(6, *TINY))
    val = tree.pictures("val/ILSVRC2012_val_{i:08}.JPEG", each(4, *TINY), "validation", start=1)
    tree.lines("val.txt", (f"ILSVRC2012_val_{one.i:08}.JPEG {one.label}" for one in val))


@reads_or_stops("LOC_val_solution.csv", none=each(6, *TINY), validation=each(4, *TINY))
def imagenet_of_kaggle(tree: Tree) -> None:
    """ILSVRC/Data/CLS-LOC/{train/n01440764/x.JPEG,val/x.JPEG,test/x.JPEG}, LOC_val_solution.csv (ImageId,PredictionString: `wnid x y x y`),
    LOC_synset_mapping.txt: read with the first word of the prediction, or a stop that names that table."""
    root = "ILSVRC/Data/CLS-LOC"
    tree.pictures(f"{root}/train/{{label}}/{{label}}_{{n}}.JPEG", each(6, *TINY))
    val = tree.pictures(f"{root}/val/ILSVRC2012_val_{{i:08}}.JPEG", each(4, *TINY), "validation")
    tree.unlabelled(f"{root}/test/ILSVRC2012_test_{{i:08}}.JPEG", 5)
    tree.table(
        "LOC_val_solution.csv", "ImageId,PredictionString", [(f"ILSVRC2012_val_{one.i:08}", f"{one.label} 85 1 499 272 ") for one in val]
    )
    tree.lines("LOC_synset_mapping.txt", (f"{wnid} some animal, another name" for wnid in TINY))


BIRDS = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")


@reads(train=each(4, *BIRDS), test=each(3, *BIRDS))
def cub_200(tree: Tree) -> None:
    """CUB_200_2011/images/001.Black_footed_Albatross/x.jpg, images.txt (`id path`), image_class_labels.txt (`id class`), classes.txt,
    train_test_split.txt (`id is_training`), bounding_boxes.txt, attributes/, parts/: the official split is kept."""
    root = "CUB_200_2011"
    train = tree.pictures(f"{root}/images/{{label}}/{{label}}_{{i:04}}.jpg", each(4, *BIRDS), "train")
    test = tree.pictures(f"{root}/images/{{label}}/{{label}}_{{i:04}}.jpg", each(3, *BIRDS), "test", start=100)
    both = sorted((one.path.removeprefix(f"{root}/images/"), one.label, one in train) for one in (*train, *test))
    tree.lines(f"{root}/images.txt", (f"{i} {path}" for i, (path, _, _) in enumerate(both, 1)))
    tree.lines(f"{root}/image_class_labels.txt", (f"{i} {BIRDS.index(label) + 1}" for i, (_, label, _) in enumerate(both, 1)))
    tree.lines(f"{root}/train_test_split.txt", (f"{i} {int(is_train)}" for i, (_, _, is_train) in enumerate(both, 1)))
    tree.lines(f"{root}/bounding_boxes.txt", (f"{i} 60.0 27.0 325.0 304.0" for i in range(1, len(both) + 1)))
    tree.lines(f"{root}/classes.txt", (f"{i} {label}" for i, label in enumerate(BIRDS, 1)))
    tree.lines(f"{root}/attributes/attributes.txt", ("1 has_bill_shape::curved_(up_or_down)", "2 has_bill_shape::dagger"))
    tree.lines(f"{root}/parts/parts.txt", ("1 back", "2 beak"))
    tree.text(f"{root}/README", "Caltech-UCSD Birds-200-2011")


@reads_or_stops("meta/train.txt or train.json", train=each(4, "apple_pie", "ramen"), test=each(3, "apple_pie", "ramen"))
def food_101(tree: Tree) -> None:
    """food-101/images/apple_pie/1005649.jpg, meta/{train,test}.txt (`apple_pie/1005649`), the same as JSON, meta/classes.txt, labels.txt.
    The official split is kept, or the run stops; it never goes lost."""
    parts = {"train": tree.pictures("food-101/images/{label}/{i}.jpg", each(4, "apple_pie", "ramen"), "train")}
    parts["test"] = tree.pictures("food-101/images/{label}/{i}.jpg", each(3, "apple_pie", "ramen"), "test", start=100)
    for split, pictures in parts.items():
        tree.lines(f"food-101/meta/{split}.txt", (f"{one.label}/{one.i}" for one in pictures))
        tree.json(
            f"food-101/meta/{split}.json",
            {label: [f"{label}/{one.i}" for one in pictures if one.label == label] for label in ("apple_pie", "ramen")},
        )
    tree.lines("food-101/meta/classes.txt", ("apple_pie", "ramen"))
    tree.lines("food-101/meta/labels.txt", ("Apple pie", "Ramen"))
    tree.text("food-101/license_agreement.txt", "fair use")


@reads(none=each(5, "BACKGROUND_Google", "accordion", "airplanes"))
def caltech_101(tree: Tree) -> None:
    """101_ObjectCategories/{accordion,airplanes,BACKGROUND_Google}/image_0001.jpg: each folder is a class of the published set; one holds a
    file `tmp`, and Annotations/ holds outlines as .mat files."""
    tree.pictures("caltech-101/101_ObjectCategories/{label}/image_{n:04}.jpg", each(5, "BACKGROUND_Google", "accordion", "airplanes"))
    tree.text("caltech-101/101_ObjectCategories/BACKGROUND_Google/tmp", "x")
    for i in range(5):
        tree.put(f"caltech-101/Annotations/accordion/annotation_{i:04}.mat", b"MATLAB 5.0 MAT-file" + bytes(120))


@reads_or_stops(
    "cat_to_name.json",
    none=each(4, "1", "2", "10"),
    validation=each(2, "1", "2", "10"),
    naming={"1": "pink primrose", "2": "hard-leaved pocket orchid", "10": "globe thistle"},
    advice=[({"format": "folders"}, right(none=each(4, "1", "2", "10"), validation=each(2, "1", "2", "10")))],
)
def flowers_102_in_folders(tree: Tree) -> None:
    """dataset/{train,valid}/1/image_06734.jpg, dataset/test/image_00005.jpg without labels, cat_to_name.json with the names of the numbers."""
    tree.pictures("dataset/train/{label}/image_{i:05}.jpg", each(4, "1", "2", "10"))
    tree.pictures("dataset/valid/{label}/image_{i:05}.jpg", each(2, "1", "2", "10"), "validation", start=50)
    tree.unlabelled("dataset/test/image_{i:05}.jpg", 5, start=90)
    tree.json("cat_to_name.json", {"1": "pink primrose", "2": "hard-leaved pocket orchid", "10": "globe thistle"})


@reads(none=each(5, "AnnualCrop", "Forest", "River"))
def eurosat(tree: Tree) -> None:
    """2750/AnnualCrop/AnnualCrop_1.jpg: the archive's top folder is a number, its sub-folders are the classes."""
    tree.pictures("2750/{label}/{label}_{n}.jpg", each(5, "AnnualCrop", "Forest", "River"))


@reads(none={"Aaron_Eckhart": 1, "Aaron_Peirsol": 4, "George_W_Bush": 9, "Tony_Blair": 6})
def labelled_faces_in_the_wild(tree: Tree) -> None:
    """lfw/George_W_Bush/George_W_Bush_0001.jpg: a folder per person, some with one picture."""
    tree.pictures("lfw/{label}/{label}_{n:04}.jpg", {"Aaron_Eckhart": 1, "Aaron_Peirsol": 4, "George_W_Bush": 9, "Tony_Blair": 6}, start=1)


@reads(none=each(5, "n02085620-Chihuahua", "n02085782-Japanese_spaniel"))
def stanford_dogs(tree: Tree) -> None:
    """images/Images/n02085620-Chihuahua/n02085620_7.jpg, annotations/Annotation/n02085620-Chihuahua/n02085620_7 (XML without an ending)."""
    for one in tree.pictures("images/Images/{label}/{label}_{i}.jpg", each(5, "n02085620-Chihuahua", "n02085782-Japanese_spaniel")):
        tree.text(
            f"annotations/Annotation/{one.label}/{one.label}_{one.i}", "<annotation><object><name>x</name><bndbox/></object></annotation>"
        )


@reads(none={"Cat": 6, "Dog": 6})
def pet_images(tree: Tree) -> None:
    """Microsoft's PetImages/{Cat,Dog}/0.jpg with an empty 666.jpg and 11702.jpg, Thumbs.db in each, `readme[1].txt` and a .docx beside."""
    tree.pictures("PetImages/{label}/{n}.jpg", {"Cat": 6, "Dog": 6})
    for path in ("PetImages/Cat/666.jpg", "PetImages/Dog/11702.jpg"):
        tree.put(path, b"")
        tree.strays.append(path)
    for label in ("Cat", "Dog"):
        tree.put(f"PetImages/{label}/Thumbs.db", b"\xd0\xcf\x11\xe0" + bytes(90))
    tree.text("readme[1].txt", "terms")
    tree.put("MSR-LA - 3467.docx", b"PK\3\4" + bytes(90))


@reads(none=each(6, "A", "B", "C"))
def not_mnist(tree: Tree) -> None:
    """notMNIST_small/A/x.png, with two files of no content, as published."""
    tree.pictures("notMNIST_small/{label}/TWFu{i}.png", each(6, "A", "B", "C"))
    tree.put("notMNIST_small/A/RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png", b"")
    tree.strays.append("notMNIST_small/A/RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png")


@reads(none=each(4, "A", "B", "del", "nothing", "space"))
def asl_alphabet(tree: Tree) -> None:
    """asl_alphabet_train/asl_alphabet_train/{A,…,del,nothing,space}/A1.jpg, asl_alphabet_test/asl_alphabet_test/A_test.jpg (flat)."""
    tree.pictures("asl_alphabet_train/asl_alphabet_train/{label}/{label}{n}.jpg", each(4, "A", "B", "del", "nothing", "space"))
    for name in ("A", "B", "nothing"):
        tree.unlabelled(f"asl_alphabet_test/asl_alphabet_test/{name}_test.jpg", 1)


@reads(none=each(5, "n0", "n1"), validation=each(3, "n0", "n1"))
def monkey_species(tree: Tree) -> None:
    """training/training/n0/x.jpg, validation/validation/n0/x.jpg, monkey_labels.txt (a table of species, with no picture)."""
    tree.pictures("training/training/{label}/{label}{n:03}.jpg", each(5, "n0", "n1"))
    tree.pictures("validation/validation/{label}/{label}{n:03}.jpg", each(3, "n0", "n1"), "validation", start=50)
    tree.table(
        "monkey_labels.txt",
        "Label, Latin Name, Common Name, Train Images, Validation Images",
        [("n0", "alouatta_palliata", "mantled_howler", 131, 26), ("n1", "erythrocebus_patas", "patas_monkey", 139, 28)],
    )


@reads(train=each(5, "CNV", "DRUSEN", "NORMAL"), validation=each(2, "CNV", "DRUSEN", "NORMAL"), test=each(3, "CNV", "DRUSEN", "NORMAL"))
def retinal_oct(tree: Tree) -> None:
    """OCT2017 /{train,val,test}/{CNV,…}/CNV-1016042-1.jpeg, with the space at the end of the folder's name that it is published with."""
    for split, word, count in (("train", "train", 5), ("validation", "val", 2), ("test", "test", 3)):
        tree.pictures(f"OCT2017 /{word}/{{label}}/{{label}}-10{{i}}-1.jpeg", each(count, "CNV", "DRUSEN", "NORMAL"), split)


@reads(none=each(5, "agricultural", "airplane", "beach"))
def uc_merced(tree: Tree) -> None:
    """UCMerced_LandUse/Images/agricultural/agricultural00.tif and readme.txt."""
    tree.pictures("UCMerced_LandUse/Images/{label}/{label}{n:02}.tif", each(5, "agricultural", "airplane", "beach"))
    tree.text("UCMerced_LandUse/readme.txt", "UC Merced Land Use")


@reads(none=each(6, "1_normal", "2_cataract", "2_glaucoma"))
def cataracts(tree: Tree) -> None:
    """dataset/{1_normal,2_cataract,2_glaucoma}/NL_001.png: numbers in front of the names are part of them."""
    tree.pictures("dataset/{label}/{i:03}.png", each(6, "1_normal", "2_cataract", "2_glaucoma"))


@reads(none=each(6, *(str(digit) for digit in range(11))))
def classes_of_numbers(tree: Tree) -> None:
    """0/x.png … 10/x.png: classes that are numbers."""
    tree.pictures("{label}/{i}.png", each(6, *(str(digit) for digit in range(11))))


@reads(train=each(5, "0", "1", "2"), test=each(3, "0", "1", "2"))
def mnist_png(tree: Tree) -> None:
    """mnist_png/training/0/1.png, mnist_png/testing/0/3.png."""
    tree.pictures("mnist_png/training/{label}/{i}.png", each(5, "0", "1", "2"), "train")
    tree.pictures("mnist_png/testing/{label}/{i}.png", each(3, "0", "1", "2"), "test")


@reads(none=each(6, "def_front", "ok_front"), naming={})
def flat_top_with_readme(tree: Tree) -> None:
    """A class folder each, and files at the top that are no pictures: requirements.txt, a notebook, a model, a Makefile."""
    tree.pictures("{label}/cast_{i}.jpeg", each(6, "def_front", "ok_front"))
    for name in ("requirements.txt", "train.ipynb", "model.h5", "Makefile", "LICENSE"):
        tree.text(name, "x")


@reads_or_stops("training_real", none=each(6, "training_fake", "training_real"), naming={"training_fake": "fake", "training_real": "real"})
def real_and_fake_faces(tree: Tree) -> None:
    """real_and_fake_face/{training_fake,training_real}/x.jpg: the two folders are the classes, and both are for training. Never two splits."""
    tree.pictures("real_and_fake_face/{label}/{i}.jpg", each(6, "training_fake", "training_real"))


@reads_or_stops("casting_512x512", train=each(6, "def_front", "ok_front"), test=each(3, "def_front", "ok_front"))
def casting_products(tree: Tree) -> None:
    """casting_data/casting_data/{train,test}/{def_front,ok_front}/x.jpeg, and other pictures of the kind in casting_512x512/casting_512x512/{…}.
    Never the classes casting_data and casting_512x512."""
    tree.pictures("casting_data/casting_data/train/{label}/cast_{i}.jpeg", each(6, "def_front", "ok_front"), "train")
    tree.pictures("casting_data/casting_data/test/{label}/cast_{i}.jpeg", each(3, "def_front", "ok_front"), "test")
    tree.stray("casting_512x512/casting_512x512/def_front/cast_{i}.jpeg", 5)
    tree.stray("casting_512x512/casting_512x512/ok_front/cast_{i}.jpeg", 5)


DRIVERS = each(12, "Alert", "Drowsy")


@stops(
    "Alert",
    "01",
    "ingest.class_from",
    advice=[
        ({"class_from": "last_folder"}, right(none=DRIVERS)),
        ({"class_from": "first_folder"}, right(none=each(6, "01", "02", "03", "04"))),
        ({"class_from": "*/{class}/*.jpg"}, right(none=DRIVERS)),
    ],
)
def drowsy_drivers(tree: Tree) -> None:
    """01/{Alert,Drowsy}/x.jpg … 04/: a person per folder; or are these the classes? Both are shown."""
    for person in range(1, 5):
        tree.pictures(f"{person:02}/{{label}}/{{i}}.jpg", each(3, "Alert", "Drowsy"))


PACS = ("dog", "elephant")


@stops(
    "cartoon",
    "elephant",
    "ingest.class_from",
    advice=[
        ({"class_from": "last_folder"}, right(none=each(12, *PACS))),
        ({"class_from": "first_folder"}, right(none=each(6, "art_painting", "cartoon", "photo", "sketch"))),
    ],
)
def pacs(tree: Tree) -> None:
    """PACS/{photo,art_painting,cartoon,sketch}/{dog,elephant,…}/pic_001.jpg: a domain per folder, the same classes in each."""
    for domain in ("art_painting", "cartoon", "photo", "sketch"):
        tree.pictures(f"PACS/{domain}/{{label}}/pic_{{i:03}}.jpg", each(3, *PACS))


OFFICE = each(9, "back_pack", "mug")


@stops(
    "webcam",
    "back_pack",
    "ingest.class_from",
    advice=[
        ({"class_from": "last_folder"}, right(none=OFFICE)),
        ({"class_from": "first_folder"}, right(none=each(6, "amazon", "dslr", "webcam"))),
    ],
)
def office_31(tree: Tree) -> None:
    """{amazon,dslr,webcam}/images/{back_pack,mug,…}/frame_0001.jpg."""
    for domain in ("amazon", "dslr", "webcam"):
        tree.pictures(f"{domain}/images/{{label}}/frame_{{i:04}}.jpg", each(3, "back_pack", "mug"))


@stops(
    "photos_2023",
    "cat",
    "ingest.class_from",
    advice=[({"class_from": "last_folder"}, right(none=each(12, "cat", "dog")))],
)
def years(tree: Tree) -> None:
    """photos_2023/{cat,dog}, photos_2024/{cat,dog}: years are no classes by themselves; both readings are shown."""
    for year in (2023, 2024):
        tree.pictures(f"photos_{year}/{{label}}/{{i}}.jpg", each(6, "cat", "dog"))


def _folders_that_are_no_classes(name: str, *folders: str) -> None:
    """Flat pictures in folders whose names are words for years, parts, versions or splits: refused, and read once it is said that they are classes."""

    def build(tree: Tree) -> None:
        for folder in folders:
            tree.pictures(f"{folder}/IMG_{{i:04}}.jpg", {"x": 6})

    build.__name__ = f"flat_{name}"
    advice = () if "splits" in name else (({"class_from": "first_folder"}, right(none=each(6, *folders))),)
    stops(*folders, advice=advice)(build)


_folders_that_are_no_classes("years", "photos_2022", "photos_2023", "photos_2024")
_folders_that_are_no_classes("plain_years", "2022", "2023", "2024")
_folders_that_are_no_classes("parts", "images_part_1", "images_part_2")
_folders_that_are_no_classes("parts_of_nih", "images_001", "images_002", "images_003")
_folders_that_are_no_classes("versions", "v1", "v2")
_folders_that_are_no_classes("batches", "batch1", "batch2", "batch3")
_folders_that_are_no_classes("splits", "train", "test")
_folders_that_are_no_classes("three_splits", "train_images", "test_images", "val_images")


@stops("v1", "cat", "ingest.class_from", advice=[({"class_from": "last_folder"}, right(none=each(12, "cat", "dog")))])
def versions(tree: Tree) -> None:
    """v1/{cat,dog}, v2/{cat,dog}."""
    for version in ("v1", "v2"):
        tree.pictures(f"{version}/{{label}}/{{i}}.jpg", each(6, "cat", "dog"))


@stops("all", "cat")
def folder_of_all(tree: Tree) -> None:
    """{cat,dog}/x.jpg and all/x.jpg, which has each of them once more: all is no class."""
    for one in tree.pictures("{label}/{label}_{i}.jpg", each(6, "cat", "dog")):
        tree.copy(one.path, f"all/{one.label}_{one.i}.jpg")


@stops("cats", "cats_backup")
def backup_beside_its_class(tree: Tree) -> None:
    """{cats,cats_backup,dogs}/x.jpg: two classes of the same pictures."""
    for one in tree.pictures("{label}/{i}.jpg", each(6, "cats", "dogs")):
        if one.label == "cats":
            tree.copy(one.path, f"cats_backup/{one.i}.jpg")


@stops("12")
def folder_per_picture(tree: Tree) -> None:
    """export/00a1/image.jpg … one picture in each of 12 folders: as many classes as images."""
    for i in range(12):
        tree.picture(f"export/{i * 7919:05x}/image.jpg", "x")


@reads(none=each(4, "cat", "dog"))
def some_heic_in_each_class(tree: Tree) -> None:
    """{cat,dog}/{IMG_0001.jpg,IMG_0002.HEIC}: no class vanishes; what is not read is named."""
    tree.pictures("{label}/IMG_{i:04}.jpg", each(4, "cat", "dog"))
    for path in ("cat/IMG_0100.HEIC", "dog/IMG_0101.HEIC"):
        tree.put(path, HEIC)
        tree.strays.append(path)


INSECTS = ("00000_Animalia_Annelida_Lumbricus_terrestris", "00001_Animalia_Annelida_Sabella_spallanzanii")


@reads_or_stops(
    "train_mini.json or val.json", none=each(6, *INSECTS), validation=each(3, *INSECTS), naming={INSECTS[0]: "0", INSECTS[1]: "1"}
)
def i_naturalist_2021(tree: Tree) -> None:
    """{train_mini,val}/00000_Animalia_…/x.jpg, {train_mini,val}.json (images, annotations with category_id, categories): labels, no boxes."""
    for word, split, count in (("train_mini", None, 6), ("val", "validation", 3)):
        pictures = tree.pictures(f"{word}/{{label}}/{word}{{i:08}}.jpg", each(count, *INSECTS), split)
        images = [{"id": one.i, "file_name": one.path, "width": 16, "height": 16} for one in pictures]
        annotations = [{"id": one.i, "image_id": one.i, "category_id": INSECTS.index(one.label)} for one in pictures]
        categories = [{"id": k, "name": label.split("_", 3)[-1], "image_dir_name": label} for k, label in enumerate(INSECTS)]
        tree.json(f"{word}.json", {"info": {}, "images": images, "annotations": annotations, "categories": categories})


SPECIES = each(4, "400", "401", "1200", "1201")


@reads_or_stops("Plants", "400", "ingest.class_from", none=SPECIES, advice=[({"class_from": "last_folder"}, right(none=SPECIES))])
def i_naturalist_2019(tree: Tree) -> None:
    """train_val2019/{Birds/{400,401},Plants/{1200,1201}}/x.jpg: species below kinds. Never two classes without a word."""
    tree.pictures("train_val2019/Birds/{label}/{i:032x}.jpg", each(4, "400", "401"))
    tree.pictures("train_val2019/Plants/{label}/{i:032x}.jpg", each(4, "1200", "1201"))


PLANTS = ("Apple___scab", "Corn___rust")


@stops(
    "color",
    "grayscale",
    "segmented",
    "Apple___scab",
    "ingest.class_from",
    advice=[
        ({"class_from": "last_folder"}, right(none=each(12, *PLANTS))),
        ({"class_from": "color/{class}/*.jpg"}, right(none=each(4, *PLANTS))),
    ],
)
def plantvillage(tree: Tree) -> None:
    """plantvillage dataset/{color,grayscale,segmented}/{class}/x.jpg: three versions of each picture."""
    for version in ("color", "grayscale", "segmented"):
        tree.pictures(f"plantvillage dataset/{version}/{{label}}/{{i}}.jpg", each(4, *PLANTS))


@stops("raw", "resized", "forest", "ingest.class_from", advice=[({"class_from": "raw/{class}/*"}, right(none=each(5, "forest", "river")))])
def two_versions(tree: Tree) -> None:
    """raw/{forest,river}/1.png and resized/{forest,river}/1.png: versions of the same pictures."""
    tree.pictures("raw/{label}/{i}.png", each(5, "forest", "river"))
    tree.pictures("resized/{label}/{i}.png", each(5, "forest", "river"))


@stops("images_train_test_val", "Images", "ingest.ignore")
def uc_merced_of_kaggle(tree: Tree) -> None:
    """Images/{airplane,beach}/x.png and images_train_test_val/{train,test}/{airplane,beach}/x.png, the same pictures in splits."""
    for one in tree.pictures("Images/{label}/{label}_{n:02}.png", each(8, "airplane", "beach")):
        tree.copy(one.path, f"images_train_test_val/{'test' if one.n > 5 else 'train'}/{one.label}/{one.label}_{one.n:02}.png")


@stops("Braille", "character01", "ingest.class_from")
def omniglot(tree: Tree) -> None:
    """images_background/{Braille,Greek}/{character01,character02}/0001_01.png: the same names below each alphabet."""
    for alphabet in ("Braille", "Greek", "Hebrew"):
        tree.pictures(f"images_background/{alphabet}/{{label}}/{{i:04}}_01.png", each(4, "character01", "character02"))


COLON = ("colon_aca", "colon_n")
LUNG = ("lung_aca", "lung_n", "lung_scc")


@reads_or_stops(
    "colon_image_sets",
    "lung_aca",
    "ingest.class_from",
    none=each(4, *COLON, *LUNG),
    advice=[
        ({"class_from": "last_folder"}, right(none=each(4, *COLON, *LUNG))),
        ({"class_from": "first_folder"}, right(none={"colon_image_sets": 8, "lung_image_sets": 12})),
    ],
)
def lc25000(tree: Tree) -> None:
    """lung_colon_image_set/{colon_image_sets/{colon_aca,colon_n},lung_image_sets/{lung_aca,…}}/x.jpeg: five classes in two folders.
    Never two classes without a word."""
    tree.pictures("lung_colon_image_set/colon_image_sets/{label}/{label}{n}.jpeg", each(4, *COLON))
    tree.pictures("lung_colon_image_set/lung_image_sets/{label}/{label}{n}.jpeg", each(4, *LUNG))


@stops("SOB", "benign", "ingest.class_from", advice=[({"class_from": "first_folder"}, right(none=each(8, "benign", "malignant")))])
def breakhis(tree: Tree) -> None:
    """breast/{benign,malignant}/SOB/{adenosis,…}/SOB_B_A_14-22549AB/{40X,100X}/x.png: the class at the top, magnifications at the bottom."""
    for label, kinds in (("benign", ("adenosis", "fibroadenoma")), ("malignant", ("lobular_carcinoma", "papillary_carcinoma"))):
        for kind in kinds:
            for zoom in ("40X", "100X"):
                tree.pictures(f"breast/{{label}}/SOB/{kind}/SOB_{kind[0]}_14-22549AB/{zoom}/SOB-{{i}}.png", {label: 2})


SUN = each(4, "abbey", "airfield", "beach", "bridge")


@reads_or_stops("abbey", "ingest.class_from", none=SUN, advice=[({"class_from": "last_folder"}, right(none=SUN))])
def sun_397(tree: Tree) -> None:
    """SUN397/{a/abbey,a/airfield,b/beach,b/bridge}/sun_x.jpg: folders of initial letters. Never the classes a and b."""
    tree.pictures("SUN397/a/{label}/sun_a{i}.jpg", each(4, "abbey", "airfield"))
    tree.pictures("SUN397/b/{label}/sun_b{i}.jpg", each(4, "beach", "bridge"))
    tree.lines("SUN397/ClassName.txt", ("/a/abbey", "/a/airfield", "/b/beach", "/b/bridge"))


@reads_or_stops("train", "cat", none=None, train=each(6, "cat", "dog"), test=each(3, "cat", "dog"))
def split_below_class(tree: Tree) -> None:
    """{cat,dog}/{train,test}/x.jpg: the split stands below the class. It is kept."""
    tree.pictures("{label}/train/{i}.jpg", each(6, "cat", "dog"), "train")
    tree.pictures("{label}/test/{i}.jpg", each(3, "cat", "dog"), "test")


@reads_or_stops("TEST_SIMPLE", train=each(5, "EOSINOPHIL", "LYMPHOCYTE"), test=each(3, "EOSINOPHIL", "LYMPHOCYTE"))
def blood_cells(tree: Tree) -> None:
    """dataset2-master/dataset2-master/images/{TRAIN,TEST,TEST_SIMPLE}/{EOSINOPHIL,…}/x.jpeg with labels.csv (,Image,Category with numbers that
    are no files): TEST_SIMPLE is neither training nor test images of the set: it is left out by name."""
    root = "dataset2-master/dataset2-master"
    tree.pictures(f"{root}/images/TRAIN/{{label}}/_0_{{i}}.jpeg", each(5, "EOSINOPHIL", "LYMPHOCYTE"), "train")
    tree.pictures(f"{root}/images/TEST/{{label}}/_1_{{i}}.jpeg", each(3, "EOSINOPHIL", "LYMPHOCYTE"), "test")
    for label in ("EOSINOPHIL", "LYMPHOCYTE"):
        tree.stray(f"{root}/images/TEST_SIMPLE/{label}/_2_{{i}}.jpeg", 2)
    tree.table(f"{root}/labels.csv", ",Image,Category", [(i, i, "EOSINOPHIL" if i % 2 else "LYMPHOCYTE") for i in range(8)])


@stops("dogs", "dog", "train or training")
def class_with_validation_images_alone(tree: Tree) -> None:
    """train/{cat,dog}, val/{cat,dogs}: `dogs` has no training image, and is probably `dog`."""
    tree.pictures("train/{label}/{i}.jpg", each(6, "cat", "dog"))
    tree.pictures("val/{label}/{i}.jpg", each(3, "cat", "dogs"))


@stops("adenocarcinoma", "adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib", "train or training")
def chest_ct_scans(tree: Tree) -> None:
    """Data/{train/adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib,test/adenocarcinoma,…}: a class is called otherwise in test than in train."""
    tree.pictures("Data/train/{label}/{i}.png", each(5, "adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib", "normal"))
    tree.pictures("Data/valid/{label}/{i}.png", each(2, "adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib", "normal"))
    tree.pictures("Data/test/{label}/{i}.png", each(3, "adenocarcinoma", "normal"))


@stops("n000001", "test", "train or training")
def vggface2(tree: Tree) -> None:
    """VGG-Face2/{train/n000002,test/n000001}/0001_01.jpg: other people in test than in train; a set for verification."""
    tree.pictures("VGG-Face2/train/{label}/{i:04}_01.jpg", each(4, "n000002", "n000003"))
    tree.pictures("VGG-Face2/test/{label}/{i:04}_01.jpg", each(4, "n000001", "n000009"))


@stops("bottle", "broken_large")
def mvtec_ad(tree: Tree) -> None:
    """{bottle,cable}/{train/good,test/{good,broken_large},ground_truth/broken_large}/000.png: no defect is in train; objects are no classes."""
    for thing in ("bottle", "cable"):
        tree.pictures(f"{thing}/train/{{label}}/{{n:03}}.png", {"good": 8})
        for one in tree.pictures(f"{thing}/test/{{label}}/{{n:03}}.png", {"good": 3, "broken_large": 3}):
            tree.put(f"{thing}/ground_truth/{one.label}/{one.n:03}_mask.png", mask(one.i))
    tree.text("license.txt", "CC BY-NC-SA")


@stops("broken_large", "train or training")
def mvtec_ad_bottle(tree: Tree) -> None:
    """bottle/{train/good,test/{good,broken_large,contamination},ground_truth/…}/000.png: one class in train, the others in test alone."""
    tree.pictures("bottle/train/{label}/{n:03}.png", {"good": 8})
    for one in tree.pictures("bottle/test/{label}/{n:03}.png", each(3, "good", "broken_large", "contamination")):
        if one.label != "good":
            tree.put(f"bottle/ground_truth/{one.label}/{one.n:03}_mask.png", mask(one.i))


RADIO = each(5, "COVID", "Normal")


@stops("images", "masks", "COVID", "ingest.class_from", advice=[({"class_from": "{class}/images/*.png"}, right(none=RADIO))])
def covid_radiography(tree: Tree) -> None:
    """COVID-19_Radiography_Dataset/{COVID,Normal}/{images,masks}/COVID-1.png: the masks are no pictures of the classes."""
    for one in tree.pictures("COVID-19_Radiography_Dataset/{label}/images/{label}-{n}.png", RADIO):
        tree.put(f"COVID-19_Radiography_Dataset/{one.label}/masks/{one.label}-{one.n}.png", mask(one.i))


BUSI = each(5, "benign", "malignant", "normal")


@reads_or_stops("mask", "ingest.ignore", none=BUSI, advice=[({"ignore": ["*_mask*.png"]}, right(none=BUSI))])
def breast_ultrasound(tree: Tree) -> None:
    """Dataset_BUSI_with_GT/{benign,malignant,normal}/{benign (1).png,benign (1)_mask.png}: a mask beside each picture is no picture."""
    for one in tree.pictures("Dataset_BUSI_with_GT/{label}/{label} ({n}).png", BUSI):
        path = one.path.replace(".png", "_mask.png")
        tree.put(path, tree.known(mask(one.i), path, None))


@stops("images", "masks")
def kvasir_seg(tree: Tree) -> None:
    """Kvasir-SEG/{images,masks}/x.jpg with the same names: a segmentation set, no classifier of images against masks."""
    for i in range(10):
        tree.picture(f"Kvasir-SEG/images/cju{i}.jpg", "x")
        tree.put(f"Kvasir-SEG/masks/cju{i}.jpg", mask(i))


@stops("train_masks")
def carvana(tree: Tree) -> None:
    """{train/fff9b3a5373f_16.jpg,train_masks/fff9b3a5373f_16_mask.gif,test/…}: masks, no classes."""
    for i in range(10):
        tree.picture(f"train/fff9b3a5373f_{i:02}.jpg", "x")
        tree.picture(f"train_masks/fff9b3a5373f_{i:02}_mask.gif", "x")
        tree.picture(f"test/0004d4463b50_{i:02}.jpg", "x")


@stops("mask", "ingest.ignore")
def drive_vessels(tree: Tree) -> None:
    """DRIVE/{training,test}/{images,mask,1st_manual}/21_training.tif: pictures, masks and annotations of the same eyes."""
    for word in ("training", "test"):
        for i in range(6):
            tree.picture(f"DRIVE/{word}/images/{i:02}_{word}.tif", "x")
            tree.put(f"DRIVE/{word}/mask/{i:02}_{word}_mask.png", mask(i))
            tree.put(f"DRIVE/{word}/1st_manual/{i:02}_manual1.png", mask(100 + i))


PETS = each(6, "Abyssinian", "american_bulldog", "Bombay")


@stops("images", "annotations", "ingest.class_from", advice=[({"class_from": "images/{class}_*.jpg"}, right(none=PETS))])
def oxford_pets(tree: Tree) -> None:
    """images/{Abyssinian_1,american_bulldog_2}.jpg, annotations/{trimaps/x.png,xmls/x.xml,list.txt,trainval.txt,test.txt}.
    Never the classes images and annotations."""
    lines = []
    for one in tree.pictures("images/{label}_{i}.jpg", PETS):
        tree.put(f"annotations/trimaps/{one.label}_{one.i}.png", mask(one.i))
        tree.put(f"annotations/trimaps/._{one.label}_{one.i}.png", b"\0\5\26\7")
        lines.append(f"{one.label}_{one.i} {list(PETS).index(one.label) + 1} 1 1")
    tree.lines("annotations/list.txt", ["#Image CLASS-ID SPECIES BREED ID", "#ID: 1:37 Class ids", *lines])


@reads_or_stops(
    "ingest.class_from",
    none=each(6, "Abyssinian", "american_bulldog"),
    advice=[({"class_from": "{class}_*.jpg"}, right(none=each(6, "Abyssinian", "american_bulldog")))],
)
def oxford_pets_images_alone(tree: Tree) -> None:
    """images/{Abyssinian_1,american_bulldog_2}.jpg and nothing else."""
    tree.pictures("images/{label}_{i}.jpg", each(6, "Abyssinian", "american_bulldog"))


@reads_or_stops(
    "ingest.class_from",
    none=each(8, "obj1", "obj2", "obj10"),
    advice=[({"class_from": "{class}__*.png"}, right(none=each(8, "obj1", "obj2", "obj10")))],
)
def coil_100(tree: Tree) -> None:
    """coil-100/obj1__0.png … with convertGroupppm2png.pl."""
    tree.pictures("coil-100/{label}__{n}.png", each(8, "obj1", "obj2", "obj10"))
    tree.text("coil-100/convertGroupppm2png.pl", "#!/usr/bin/perl")


@reads_or_stops(
    "ingest.class_from",
    none=each(6, "subject01", "subject02", "subject03"),
    advice=[({"class_from": "{class}.*"}, right(none=each(6, "subject01", "subject02", "subject03")))],
)
def yale_faces(tree: Tree) -> None:
    """yalefaces/subject01.happy: what looks like an ending is the expression; the files are GIFs."""
    moods = ("happy", "sad", "sleepy", "glasses", "wink", "normal")
    for label in ("subject01", "subject02", "subject03"):
        for mood in moods:
            path = f"yalefaces/{label}.{mood}"
            tree.put(path, tree.known(tree.draw("gif", "L"), path, label))
    tree.text("yalefaces/Readme.txt", "Yale")


@stops(
    "ingest.class_from",
    advice=[({"class_from": "*_{class}_*_*.jpg"}, right(none=each(8, "0", "1")))],
)
def utk_face(tree: Tree) -> None:
    """UTKFace/25_0_1_20170116174525125.chip.jpg: age, gender, race and date in the name; which is the class must be said."""
    for i in range(16):
        tree.picture(f"UTKFace/{20 + i % 9}_{i % 2}_{i // 2 % 4}_201701161745{i:05}.chip.jpg", str(i % 2))


@stops("ingest.class_from", advice=[({"class_from": "*.{class}.*.tiff"}, right(none=each(4, "AN1", "AN2", "HA1")))])
def jaffe(tree: Tree) -> None:
    """jaffe/KA.AN1.39.tiff: person, expression with a number, number."""
    for i in range(12):
        tree.put(f"jaffe/K{'AMLR'[i % 4]}.{('AN', 'HA')[i // 4 % 2]}{i // 8 + 1}.{i}.tiff", tree.draw("tif"))


@stops("no class or class or ingest.class_from")
def captchas(tree: Tree) -> None:
    """captcha_images_v2/226md.png: the text is the file's name; there are as many as pictures, so it is no class."""
    for i in range(20):
        tree.picture(f"captcha_images_v2/{i * 7919 % 99991:05}{chr(97 + i)}.png", "x")


@stops("bounding_box_train", "query")
def market_1501(tree: Tree) -> None:
    """{bounding_box_train,bounding_box_test,query}/0002_c1s1_000451_03.jpg: people seen again; the folders are no classes."""
    for folder, person in (("bounding_box_train", 2), ("bounding_box_test", 1), ("query", 1)):
        for i in range(8):
            tree.picture(f"Market-1501-v15.09.15/{folder}/{person + i // 4 * 2:04}_c{i % 6 + 1}s1_000{i}51_03.jpg", "x")


@reads_or_stops("resized", none=each(5, "Edgar_Degas", "Vincent_van_Gogh"))
def best_artworks(tree: Tree) -> None:
    """{images/images/Vincent_van_Gogh/Vincent_van_Gogh_1.jpg,resized/resized/Vincent_van_Gogh_1.jpg}: the second is a smaller flat copy."""
    for one in tree.pictures("images/images/{label}/{label}_{n}.jpg", each(5, "Edgar_Degas", "Vincent_van_Gogh")):
        tree.picture(f"resized/resized/{one.label}_{one.n}.jpg", None)
    artists = [(0, "Edgar Degas", "1834-1917", "Impressionism", 5), (1, "Vincent van Gogh", "1853-1890", "Post", 5)]
    tree.table("artists.csv", "id,name,years,genre,paintings", artists)


@reads_or_stops("sample", none=each(6, "cats", "dogs"), validation=each(3, "cats", "dogs"))
def fastai_dogscats(tree: Tree) -> None:
    """dogscats/{train,valid}/{cats,dogs}/cat.1.jpg, dogscats/test1/1.jpg, dogscats/sample/{train,valid}/{cats,dogs} (copies of some), models/."""
    tree.pictures("dogscats/train/{label}/{label}.{n}.jpg", each(6, "cats", "dogs"))
    tree.pictures("dogscats/valid/{label}/{label}.{n}.jpg", each(3, "cats", "dogs"), "validation", start=50)
    tree.unlabelled("dogscats/test1/{i}.jpg", 5)
    for label in ("cats", "dogs"):
        for n in range(3):
            tree.copy(f"dogscats/train/{label}/{label}.{n}.jpg", f"dogscats/sample/train/{label}/{label}.{n}.jpg")
        tree.copy(f"dogscats/valid/{label}/{label}.50.jpg", f"dogscats/sample/valid/{label}/{label}.50.jpg")


@reads(none=each(6, "cat", "dog"))
def flowers_with_a_figure(tree: Tree) -> None:
    """flowers/{cat,dog}/x.jpg and docs/figure1.png: one picture elsewhere changes nothing; it is named."""
    tree.pictures("flowers/{label}/{i}.jpg", each(6, "cat", "dog"))
    tree.stray("docs/figure1.png")


@reads(none=each(6, "cat", "dog"))
def results_of_a_notebook(tree: Tree) -> None:
    """{cat,dog}/x.jpg beside results/{accuracy,loss,confusion}.png, notebook.ipynb and .ipynb_checkpoints/."""
    tree.pictures("{label}/{i}.jpg", each(6, "cat", "dog"))
    for name in ("accuracy", "loss", "confusion"):
        tree.stray(f"results/{name}.png")
    tree.text("notebook.ipynb", "{}")
    tree.stray(".ipynb_checkpoints/plot-checkpoint.png")


@reads(none=each(6, "cat", "dog"))
def repository_on_github(tree: Tree) -> None:
    """project-master/{data/{cat,dog}/x.jpg,assets/logo.png,docs/img/screenshot.png,README.md,src/train.py}: a repository as a zip of GitHub."""
    tree.pictures("project-master/data/{label}/{i}.jpg", each(6, "cat", "dog"))
    tree.stray("project-master/assets/logo.png")
    tree.stray("project-master/docs/img/screenshot.png")
    tree.text("project-master/README.md", "# x")
    tree.text("project-master/src/train.py", "import torch")


@reads(none=each(6, "cat", "dog"))
def disk_of_windows(tree: Tree) -> None:
    """{cat,dog}/x.jpg at the root of a disk: $RECYCLE.BIN/S-1-5-21/$R1.jpg, System Volume Information/, lost+found/, .Trash-1000/files/."""
    tree.pictures("{label}/{i}.jpg", each(6, "cat", "dog"))
    tree.stray("$RECYCLE.BIN/S-1-5-21/$R{i}.jpg", 6)
    tree.stray("lost+found/#{i}.jpg", 3)
    tree.text("System Volume Information/IndexerVolumeGuid", "x")
    tree.picture(".Trash-1000/files/0.jpg", None)


@reads(none=each(6, "cat", "dog"))
def synology(tree: Tree) -> None:
    """{cat,dog}/x.jpg with {cat,dog}/@eaDir/x.jpg/SYNOPHOTO_THUMB_M.jpg, and #recycle/: thumbnails of the NAS are no pictures of the set."""
    for one in tree.pictures("{label}/{i}.jpg", each(6, "cat", "dog")):
        tree.stray(f"{one.label}/@eaDir/{one.i}.jpg/SYNOPHOTO_THUMB_M.jpg")
    tree.stray("#recycle/{i}.jpg", 3)


@reads(none=each(6, "cat", "dog"))
def thumbnails_of_a_viewer(tree: Tree) -> None:
    """{cat,dog}/x.jpg with {cat,dog}/.thumbnails/x.jpg and .picasa.ini."""
    for one in tree.pictures("{label}/{i}.jpg", each(6, "cat", "dog")):
        tree.picture(f"{one.label}/.thumbnails/{one.i}.jpg", None)
    tree.text("cat/.picasa.ini", "[x]")


@reads(none=each(6, "cat", "dog"))
def live_photos(tree: Tree) -> None:
    """An iPhone's {cat,dog}/{IMG_0001.JPG,IMG_0001.MOV,IMG_0001.AAE}: what lies beside a picture is its side file, and no image is lost."""
    for one in tree.pictures("{label}/IMG_{i:04}.JPG", each(6, "cat", "dog")):
        tree.put(one.path.replace("JPG", "MOV"), b"\0\0\0\x14ftypqt  " + bytes(900))
        tree.text(one.path.replace("JPG", "AAE"), "<?xml version='1.0'?><plist/>")


@reads(none=each(6, "cat", "dog"))
def google_takeout(tree: Tree) -> None:
    """Takeout/Google Photos/{cat,dog}/{IMG_1.jpg,IMG_1.jpg.json,metadata.json}."""
    for one in tree.pictures("Takeout/Google Photos/{label}/IMG_{i}.jpg", each(6, "cat", "dog")):
        tree.json(f"{one.path}.json", {"title": f"IMG_{one.i}.jpg", "photoTakenTime": {"timestamp": "1577880000"}})
    for label in ("cat", "dog"):
        tree.json(f"Takeout/Google Photos/{label}/metadata.json", {"title": label, "access": ""})
    tree.text("Takeout/archive_browser.html", "<html></html>")


@reads(none=each(6, "cat", "dog"))
def raw_beside_jpeg(tree: Tree) -> None:
    """{cat,dog}/{IMG_1.JPG,IMG_1.CR2,IMG_1.xmp}: a camera's raw files and Lightroom's notes beside each JPEG."""
    for one in tree.pictures("{label}/IMG_{i}.JPG", each(6, "cat", "dog")):
        tree.put(one.path.replace("JPG", "CR2"), b"II*\0\x10\0\0\0CR\2\0" + bytes(500))
        tree.text(one.path.replace("JPG", "xmp"), "<x:xmpmeta/>")


@reads(train=each(6, "cat", "dog"), test=each(3, "cat", "dog"))
def jfif_beside_jpg(tree: Tree) -> None:
    """train/{cat,dog}/x.jfif, test/{cat,dog}/x.jpg: saved from a browser; the content decides, not the ending."""
    tree.pictures("train/{label}/{i}.jfif", each(6, "cat", "dog"), "train")
    tree.pictures("test/{label}/{i}.jpg", each(3, "cat", "dog"), "test")


@reads(none=each(6, "cat", "dog"))
def files_without_an_ending(tree: Tree) -> None:
    """{cat/0a1b,dog/0a1c}: names without an ending, as a crawler saves them."""
    for i in range(12):
        path = f"{('cat', 'dog')[i % 2]}/{i:08x}"
        tree.put(path, tree.known(tree.draw(("jpg", "png")[i // 2 % 2]), path, ("cat", "dog")[i % 2]))


@reads(none=each(6, "cat", "dog"))
def pictures_of_twitter(tree: Tree) -> None:
    """{cat,dog}/D5x.jpg_large, with a few .jpg beside."""
    tree.pictures("{label}/D{i}.jpg_large", each(4, "cat", "dog"))
    tree.pictures("{label}/E{i}.jpg", each(2, "cat", "dog"))


@reads(train=each(6, "cat", "dog"), validation=each(2, "cat", "dog"), test=each(3, "cat", "dog"))
def roboflow_folders(tree: Tree) -> None:
    """{train,valid,test}/{cat,dog}/x_jpg.rf.0a1b.jpg, README.roboflow.txt, README.dataset.txt."""
    for split, word, count in (("train", "train", 6), ("validation", "valid", 2), ("test", "test", 3)):
        tree.pictures(f"{word}/{{label}}/{{i}}_jpg.rf.0a1b{{i}}.jpg", each(count, "cat", "dog"), split)
    tree.text("README.roboflow.txt", "export")
    tree.text("README.dataset.txt", "# pets")


@reads(none=each(6, "cat", "dog"))
def cvat_imagenet(tree: Tree) -> None:
    """CVAT's ImageNet 1.0 export: {cat,dog}/cat_IMG_1.jpg."""
    tree.pictures("{label}/{label}_IMG_{i}.jpg", each(6, "cat", "dog"))


@reads_or_stops("default.txt", none=each(6, "cat", "dog"), naming={"cat": "0", "dog": "1"})
def cvat_imagenet_txt(tree: Tree) -> None:
    """CVAT's ImageNet export with a list: {cat,dog}/x.jpg, default.txt (`cat/x 0`), synsets.txt (`cat`, `dog`)."""
    pictures = tree.pictures("{label}/{label}_{i}.jpg", each(6, "cat", "dog"))
    tree.lines("default.txt", (f"{one.path.removesuffix('.jpg')} {('cat', 'dog').index(one.label)}" for one in pictures))
    tree.lines("synsets.txt", ("cat", "dog"))


@reads(train=each(6, "airplane", "automobile"), test=each(3, "airplane", "automobile"))
def fastai_cifar10(tree: Tree) -> None:
    """cifar10/{train,test}/{airplane,…}/1_airplane.png with labels.txt, a list of the classes."""
    tree.pictures("cifar10/train/{label}/{i}_{label}.png", each(6, "airplane", "automobile"), "train")
    tree.pictures("cifar10/test/{label}/{i}_{label}.png", each(3, "airplane", "automobile"), "test")
    tree.lines("cifar10/labels.txt", ("airplane", "automobile"))


@reads(none=each(6, "blues", "rock"))
def gtzan(tree: Tree) -> None:
    """Data/{images_original/{blues,rock}/blues00000.png,genres_original/{blues,rock}/blues.00000.wav,features_30_sec.csv}: only one of the
    two holds pictures; the table lists sounds."""
    rows = []
    for one in tree.pictures("Data/images_original/{label}/{label}{n:05}.png", each(6, "blues", "rock")):
        tree.put(f"Data/genres_original/{one.label}/{one.label}.{one.n:05}.wav", b"RIFF\0\0\0\0WAVEfmt " + bytes(60))
        rows.append((f"{one.label}.{one.n:05}.wav", 661794, 0.35 + one.n / 100, one.label))
    tree.table("Data/features_30_sec.csv", "filename,length,chroma_stft_mean,label", rows)


@reads_or_stops("kaggle_simpson_testset", none=each(6, "bart_simpson", "homer_simpson"))
def simpsons(tree: Tree) -> None:
    """simpsons_dataset/{bart_simpson,…}/pic_0000.jpg, kaggle_simpson_testset/kaggle_simpson_testset/bart_simpson_0.jpg (flat),
    number_pic_char.csv (,name,total,train,test,bounding_box) with no picture. Never the classes simpsons_dataset and kaggle_simpson_testset."""
    tree.pictures("simpsons_dataset/{label}/pic_{n:04}.jpg", each(6, "bart_simpson", "homer_simpson"))
    tree.unlabelled("kaggle_simpson_testset/kaggle_simpson_testset/bart_simpson_{i}.jpg", 4)
    tree.table("number_pic_char.csv", ",name,total,train,test,bounding_box", [(0, "Bart", 6, 6, 0, 0), (1, "Homer", 6, 6, 0, 0)])


def _all_of_one_class_unread(name: str, words: tuple[str, ...], path: str, content: bytes) -> None:
    """{cat/1.jpg,dog/…}: every file of the class dog is of a kind that is not read."""

    def build(tree: Tree) -> None:
        tree.pictures("cat/{i}.jpg", {"cat": 6})
        tree.pictures("fox/{i}.jpg", {"fox": 6})
        for i in range(5):
            tree.put(path.format(i=i), content + str(i if content else "").encode())

    build.__name__ = f"class_vanishes_{name}"
    stops("dog", "5", *words)(build)


HEIC = b"\0\0\0\x24ftypheic\0\0\0\0mif1heicmiafMiHE" + bytes(400)
DICOM = bytes(128) + b"DICM\2\0\0\0UL\4\0" + bytes(60)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0a" * 32 + b"\nsize 12345\n"

for kind, words_of_kind, path_of_kind, content_of_kind in (
    ("heic", ("HEIC",), "dog/IMG_{i:04}.HEIC", HEIC),
    ("heic_in_subfolders", ("HEIC",), "dog/garden/IMG_{i:04}.HEIC", HEIC),
    ("heic_called_jpg", ("HEIC",), "dog/IMG_{i:04}.jpg", HEIC),
    ("dicom", ("DICOM",), "dog/{i}.dcm", DICOM),
    ("git_lfs", ("git lfs pull",), "dog/{i}.jpg", LFS),
    ("svg", ("SVG",), "dog/{i}.svg", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>"),
    ("jxl", ("JPEG XL or JXL",), "dog/{i}.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60)),
    ("pdf", ("PDF",), "dog/{i}.pdf", b"%PDF-1.4\n" + bytes(60)),
    ("psd", ("PSD or Photoshop",), "dog/{i}.psd", b"8BPS\0\1" + bytes(60)),
    ("web_page", ("web page or HTML",), "dog/{i}.jpg", b"<!DOCTYPE html><html><body>Not found</body></html>"),
    ("video", ("video or MP4",), "dog/{i}.mp4", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2" + bytes(60)),
    ("avi", ("video or AVI",), "dog/v_dog_g{i:02}.avi", b"RIFF\0\0\0\0AVI LIST" + bytes(60)),
    ("nifti", ("NIfTI",), "dog/{i}.nii", b"\x5c\1\0\0" + bytes(340) + b"n+1\0" + bytes(8)),
    ("raw", ("raw or CR2",), "dog/IMG_{i}.CR2", b"II*\0\x10\0\0\0CR\2\0" + bytes(500)),
    ("empty", ("empty",), "dog/{i}.jpg", b""),
    ("npy", ("npy",), "dog/{i}.npy", b"\x93NUMPY\1\0v\0{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }" + bytes(60)),
    ("icloud", ("icloud",), "dog/.IMG_{i}.jpg.icloud", b"bplist00" + bytes(60)),
    ("annex_pointer", ("git-annex or annex",), "dog/{i}.jpg", b"/annex/objects/SHA256E-s1048576--" + b"0a" * 32 + b".jpg\n"),
    ("dvc_files", ("dvc pull",), "dog/{i}.jpg.dvc", b"outs:\n- md5: 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\n  size: 9\n  path: x.jpg\n"),
    ("text", ("dog",), "dog/{i}.jpg", b"this is no picture"),
):
    _all_of_one_class_unread(kind, words_of_kind, path_of_kind, content_of_kind)


def _nothing_but(name: str, words: tuple[str, ...], path: str, content: bytes) -> None:
    def build(tree: Tree) -> None:
        for i in range(12):
            tree.put(path.format(label=("cat", "dog")[i % 2], i=i), content + str(i).encode())

    build.__name__ = f"nothing_but_{name}"
    stops("12", *words)(build)


for kind, words_of_kind, path_of_kind, content_of_kind in (
    ("git_lfs_pointers", ("git lfs pull",), "{label}/{i}.jpg", LFS),
    ("heic", ("HEIC",), "{label}/IMG_{i}.HEIC", HEIC),
    ("dicom", ("DICOM",), "stage_2_train_images/{i}.dcm", DICOM),
    ("videos", ("video or AVI",), "UCF-101/{label}/v_{label}_g{i:02}_c01.avi", b"RIFF\0\0\0\0AVI LIST" + bytes(60)),
    ("svg", ("SVG",), "{label}/{i}.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ("web_pages", ("web page or HTML",), "{label}/{i}.jpg", b"<html><head><title>403</title></head></html>"),
):
    _nothing_but(kind, words_of_kind, path_of_kind, content_of_kind)


@stops(
    "no classes found",
    "cat, dog and fox, in the names of the files",
    advice=[({"class_from": "*_{class}_*.jpg"}, right(none=each(4, "cat", "dog", "fox")))],
)
def dates_before_classes_in_names(tree: Tree) -> None:
    """photos/20240101_cat_001.jpg: the day on which a picture was taken is no part of a class."""
    for day, label in enumerate(("cat", "dog", "fox"), 1):
        tree.pictures(f"photos/2024010{day}_{{label}}_{{i:03}}.jpg", {label: 4})
