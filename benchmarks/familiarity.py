"""How many of the images in some folders a model notes as unlike all training images.

    python benchmarks/familiarity.py FOLDER [FOLDER ...] [--model champion]

In a project with a registered model. A Markdown row per folder: the images that could be used, and how many of them have the note. In folders of images
like the training images these are wrong notes; in others, those that are missing are missed.
"""

import argparse
from pathlib import Path

from pipeline.familiarity.reference import UNLIKE
from pipeline.predicting.inputs import find_images
from pipeline.serving import load


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--model", default="champion")
    options = parser.parse_args()
    classifier = load(options.model, project=Path.cwd())
    print("| images | number | noted |\n|---|---|---|")
    for folder in options.folders:
        images = find_images([folder], Path.cwd() / ".checkpoints").images
        answers = [answer for answer in classifier.stream([image.content for image in images]) if not answer.error]
        noted = sum(UNLIKE in answer.note for answer in answers)
        print(f"| {Path(folder).name} | {len(answers):,} | {noted:,} ({noted / len(answers):.1%}) |", flush=True)


if __name__ == "__main__":
    main()
