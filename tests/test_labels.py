"""Names files in all their forms, and a data set's classes found among a model's."""

import pytest

from yolo9000_jax.errors import UserError
from yolo9000_jax.labels import canonical, match_classes, read_labels, spelt_alike


def read(tmp_path, text, count):
    (tmp_path / "a.names").write_text(text)
    return read_labels(tmp_path / "a.names", count)


@pytest.mark.parametrize(
    "line, name, synset",
    [
        ("dog", "dog", None),
        ("traffic light", "traffic light", None),
        ("n02084071", "n02084071", "n02084071"),
        ("n02084071 domestic dog", "domestic dog", "n02084071"),
        ("151 n02084071 dog", "dog", "n02084071"),
        ("0\tn02119789\tkit fox", "kit fox", "n02119789"),
        ("1\taeroplane\tn02691156\tairplane\ta craft that flies", "aeroplane", "n02691156"),
        ("7 up", "7 up", None),
    ],
)
def test_forms_of_a_line(tmp_path, line, name, synset):
    found = read(tmp_path, f"{line}\nn00000001 other\n", 2)
    assert (found.names[0], found.synsets[0], found.note) == (name, synset, None)


def test_a_longer_list_of_synsets(tmp_path):
    found = read(tmp_path, "n00000001\nn00000002\nn00000003\n", 2)
    assert found.synsets == ("n00000001", "n00000002")
    assert "3 synsets; the first 2" in found.note


@pytest.mark.parametrize(
    "text, note",
    [
        ("'traffic light'\n'dog'\n", "the quotes are left out"),
        ('"traffic light",\n"dog"\n', "the quotes are left out"),
        ("0: traffic light\n1: dog\n", "the numbers are left out"),
        ("- 'traffic light'\n- 'dog'\n", "the list marks and quotes are left out"),
        ("traffic light\r\ndog\r\n", ""),
        ("\ufefftraffic light\ndog", ""),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_names_as_other_programs_write_them(tmp_path, text, note, encoding):
    (tmp_path / "a.names").write_bytes(text.removeprefix("\ufeff" if encoding == "utf-16" else "").encode(encoding))
    found = read_labels(tmp_path / "a.names", 2)
    assert found.names == ("traffic light", "dog")
    assert note in (found.note or "")


def test_quotes_that_are_of_a_name(tmp_path):
    assert read(tmp_path, "'n' sync\ndog\n", 2).names == ("'n' sync", "dog")
    assert read(tmp_path, "'dog'\ncat\n", 2).names == ("'dog'", "cat"), "not on every line"
    assert read(tmp_path, "null\nNone\n", 2).names == ("null", "None")


@pytest.mark.parametrize(
    "text, part",
    [
        ("cat\ndog\nbird\n", "a.names: 3 names, but the network has 2 classes"),
        ("cat\n", "a.names: 1 names, but the network has 2 classes"),
        ("n00000001\n", "1 names, but the network has 2 classes"),
        ("cat\n\ndog\n", "a.names, line 2: blank"),
        ("cat\n\x07\n", "a.names, line 2"),
    ],
)
def test_wrong_names_files(tmp_path, text, part):
    with pytest.raises(UserError) as caught:
        read(tmp_path, text, 2)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_names_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="b.names: cannot be read"):
        read_labels(tmp_path / "b.names", 2)
    (tmp_path / "b.names").write_bytes(b"\xff\x00\xfe\x81")
    with pytest.raises(UserError, match="b.names is not UTF-8 text"):
        read_labels(tmp_path / "b.names", 2)


def test_usual_spellings():
    voc = ["aeroplane", "motorbike", "sofa", "tvmonitor", "pottedplant", "diningtable", "Cell_Phone"]
    coco = ["airplane", "motorcycle", "couch", "tv", "potted plant", "dining table", "cell phone"]
    assert [canonical(name) for name in voc] == [canonical(name) for name in coco]
    assert match_classes(coco, voc[::-1]) == [6, 5, 4, 3, 2, 1, 0]
    assert match_classes(["cat", "zebra"], ["dog", "Cat"]) == [1, None]


def test_an_exact_name_wins_over_a_spelling():
    assert match_classes(["tv", "television"], ["television", "tv"]) == [1, 0]


def test_a_name_that_several_classes_share_is_none():
    assert match_classes(["mouse", "cat"], ["mouse", "cat", "mouse"]) == [None, 1]


def test_synsets_count_more_than_names():
    names = ["crane", "crane"]
    assert match_classes(["crane"], names, ["n00000002"], ["n00000001", "n00000002"]) == [1]
    assert match_classes(["crane", "x"], ["crane", "y"], ["n00000009", "n00000001"], ["n00000002", "n00000001"]) == [
        None,
        1,
    ]
    assert match_classes(["crane"], ["crane"], ["n00000009"], None) == [0], "the model knows no synsets"


def test_classes_that_do_not_fit():
    with pytest.raises(UserError, match="'sofa' and 'couch' are both the model's 'Sofa'"):
        match_classes(["sofa", "couch"], ["Sofa"])
    with pytest.raises(UserError, match=r"none of the data set's classes \('cat', …\)"):
        match_classes(["cat"], ["class 0", "class 1"])


def test_one_name_in_two_forms_of_unicode():
    assert spelt_alike(["B\u00e4r", "Ba\u0308r", "Bar"]) == [["B\u00e4r", "Ba\u0308r"]]
