"""How many images a model classifies correctly, compared with the majority-class baseline, in whole numbers.

Pure functions of labels. Compares counts, never rounded shares: 10 of 19 rounded to six decimals is more than 10/19.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.names import in_list, shown


@dataclass(frozen=True)
class Score:
    """`hits` of `images` are correct. `majority_images`: the images of the most frequent class, `majority_class`; always guessing it gets these right.

    `never_predicted`: classes that have images but are never predicted, in alphabetical order, each with its number of images.
    """

    images: int
    hits: int
    majority_class: str
    majority_images: int
    never_predicted: dict[str, int]

    @property
    def accuracy(self) -> float:
        return self.hits / self.images

    @property
    def majority_share(self) -> float:
        """The accuracy of the majority-class baseline."""
        return self.majority_images / self.images

    @property
    def beats_guessing(self) -> bool:
        return self.hits > self.majority_images

    def is_shown_better(self, accuracy_low: float) -> bool:
        """Than the majority-class baseline. accuracy_low: the lower end of the 95 % interval of the accuracy."""
        return self.beats_guessing and accuracy_low > self.majority_share


def count_hits(labels: Iterable[str], predicted: Iterable[str]) -> Score:
    """The score of N predicted class names, N at least 1."""
    pairs = list(zip(labels, predicted, strict=True))
    by_label = Counter(label for label, _ in pairs)
    said = {guess for _, guess in pairs}
    name, most = min(by_label.items(), key=lambda item: (-item[1], item[0]))
    never = {label: by_label[label] for label in sorted(by_label) if label not in said}
    return Score(len(pairs), sum(label == guess for label, guess in pairs), name, most, never)


def warnings(score: Score, accuracy_low: float) -> list[str]:
    """Warnings about a model, one sentence each: not better than the majority-class baseline, classes never predicted.

    accuracy_low: the lower end of the 95 % interval of the accuracy.
    """
    found = []
    guessing = (
        f"always guessing {shown(score.majority_class)}, which is right for {score.majority_images:,} of {score.images:,} test images"
    )
    if not score.beats_guessing:
        found.append(f"No better than {guessing}.")
    elif not score.is_shown_better(accuracy_low):
        found.append(f"Not shown to be better than {guessing}: the 95 % interval of the accuracy includes that.")
    if score.never_predicted:
        named = ", ".join(
            f"{in_list(name)} ({count:,} test image{'s' if count > 1 else ''})" for name, count in list(score.never_predicted.items())[:10]
        )
        more = f" and {len(score.never_predicted) - 10} more classes" if len(score.never_predicted) > 10 else ""
        found.append(f"Never predicted: {named}{more}.")
    return found
