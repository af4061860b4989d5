"""COCO's own 80 classes: their names, synsets and ids, which have gaps."""

from collections.abc import Sequence
from importlib import resources

NO_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # of 1 to 90: things that COCO has names for, and no boxes


def coco_classes() -> dict[str, str]:
    """The 80 classes of COCO by number, each with the WordNet synset that YOLO9000 takes for it."""
    text = resources.files("yolo9000_jax.data").joinpath("coco_classes.tsv").read_text("utf-8")
    return dict(line.split("\t") for line in text.splitlines())


def coco_ids(names: Sequence[str]) -> list[int] | None:
    """COCO's ids of these classes, which its server asks for; None where one of them is not COCO's."""
    ids = dict(zip(coco_classes(), (number for number in range(1, 91) if number not in NO_IDS), strict=True))
    return [ids[name] for name in names] if all(name in ids for name in names) else None
