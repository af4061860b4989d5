"""Names of splits: the usual ones of a validation split, and {split} in a path."""

import pytest

from yolo9000_jax.data.splits import fill_split, same_split


@pytest.mark.parametrize(
    "name, present, found",
    [
        ("val", ("train", "val", "valid"), "val"),
        ("val", ("train", "valid"), "valid"),
        ("val", ("train", "Validation"), "Validation"),
        ("validation", ("train", "dev", "test"), "dev"),
        ("dev", ("val",), "val"),
        ("val", ("valid", "dev"), None),  # which of them?
        ("val", ("train", "test"), None),
        ("train", ("val",), None),
        ("test", ("valid",), None),
        ("train", ("Train", "Validation"), "Train"),
        ("train", ("training", "testing"), "training"),
        ("TEST", ("train", "Test"), "Test"),
    ],
)
def test_same_split(name, present, found):
    assert same_split(name, present) == found


def test_fill_split(tmp_path):
    for name in ("train.json", "valid.json", "x[1]/train/train.txt", "x[1]/valid/valid.txt", "x[1]/odd/dev.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for pattern, name, path, called in [
        ("{split}.json", "train", "train.json", "train"),
        ("{split}.json", "val", "valid.json", "valid"),
        ("{split}.json", "test", "test.json", "test"),
        ("x[1]/{split}/{split}.txt", "val", "x[1]/valid/valid.txt", "valid"),
        ("train.json", "val", "train.json", "val"),
    ]:
        assert fill_split(f"{tmp_path}/{pattern}", name) == (tmp_path / path, called)
