"""Names and texts of files as other systems write them."""

import codecs
import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo9000_jax import files
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.weights import count_numbers
from yolo9000_jax.data import coco_json
from yolo9000_jax.data.voc import parse_xml
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import reading
from yolo9000_jax.wordtree.lines import read_lines


@pytest.mark.parametrize(
    "name", ["._a.jpg", ".idea/workspace.xml", "x/.ipynb_checkpoints/a.jpg", "__MACOSX/a.jpg", "Thumbs.db"]
)
def test_a_system_s_own_file(name):
    assert files.is_system_file(name)


@pytest.mark.parametrize("name", ["a.jpg", "../x/a.jpg", "./a.jpg", "x.y/a..jpg", "thumbs/a.jpg"])
def test_a_user_s_file(name):
    assert not files.is_system_file(Path(name))


def test_a_name_that_is_no_utf8_is_shown():
    assert files.shown(os.fsdecode(b"a\xdd.jpg")) == "a\\xdd.jpg"
    assert files.shown("Käse.jpg") == "Käse.jpg"
    assert files.shown("K\ud800") == "K\\ud800", "half a pair, from JSON"
    as_ascii = "K\udcc3\udca4se\udcdd"  # as Python hands it over where the locale is ASCII
    assert files.shown(as_ascii) == "Käse\\xdd"


@given(st.text(st.characters(codec=None), max_size=20))
def test_json_is_unicode(text):
    value = {text: [text, 1, {"a": (text, None)}], "b": 0.5}
    read = json.loads(files.to_json(value))
    read_key = next(key for key in read if key != "b" or text == "b")
    assert read_key.encode().decode() == read_key, "what other programs take"
    if text.isascii():
        assert read == json.loads(json.dumps(value))


def test_json_shows_names():
    assert json.loads(files.to_json({"a\udcdd": ["🐶", "b\udcdd"]})) == {"a\\xdd": ["🐶", "b\\xdd"]}


def test_text_that_is_no_unicode_is_written(tmp_path):
    files.write_whole(tmp_path / "a", "a\udcdd ä")
    assert (tmp_path / "a").read_bytes() == "a\\xdd ä".encode()


@pytest.mark.parametrize(
    "content",
    ["ä\r\nb".encode("utf-16"), codecs.BOM_UTF8 + "ä\rb".encode(), codecs.BOM_UTF16_BE + "ä\nb".encode("utf-16-be")],
)
def test_text(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert files.read_text(tmp_path / "a") == "ä\nb"


def test_no_text(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff\x00")
    with pytest.raises(UserError, match="UTF-8"):
        files.read_text(tmp_path / "a")
    with pytest.raises(UserError, match="cannot be read"):
        files.read_text(tmp_path)


@pytest.mark.parametrize("asked", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_find_in_another_form(tmp_path, asked, stored):
    place = tmp_path / unicodedata.normalize(stored, "Süd") / unicodedata.normalize(stored, "Käse.jpg")
    place.parent.mkdir()
    place.touch()
    assert files.find(tmp_path, unicodedata.normalize(asked, "Süd\\Käse.jpg"), Path.is_file) == place


def test_find_none(tmp_path):
    for name in ("a", "a\0", "x" * 5000, "ä" * 3000, "ä/b"):
        assert files.find(tmp_path, name) is None


STAND_INS = {
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n",
    "a web page": b"\n<!DOCTYPE html><html><body>404</body></html>",
}


@pytest.mark.parametrize("kind", STAND_INS)
def test_what_stands_where_another_file_was_to_be(tmp_path, kind):
    """Every reader of users' files says what it is."""
    path = tmp_path / "a"
    path.write_bytes(STAND_INS[kind])
    readers = (reading.read, files.read_text, parse_cfg, count_numbers, read_lines, coco_json.load, parse_xml)
    for read in readers:
        with pytest.raises(UserError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path} is {kind}"), read


@given(st.lists(st.sampled_from(["a", "b 1", "a 1", "b -1", "c d 0", "a 7", "1"])))
def test_flags_of_lists(lines):
    """By a plain loop: where all lines end in a flag those of 1 are meant, other numbers are passed over."""
    ends = [line.rpartition(" ")[2] if " " in line else None for line in lines]
    expected: list[str | None] = []
    for line, end in zip(lines, ends, strict=True):
        name = line if end is None else line.rpartition(" ")[0]
        left_out = all(each in ("1", "-1", "0") for each in ends) and end != "1"
        expected.append(None if left_out else name)
    assert files.without_flags(lines, lambda line: False) == expected
    assert files.without_flags(lines, lambda line: True) == lines


def test_patterns(tmp_path):
    """What a shell would make of them; `**` ends in a circle of links."""
    for name in ("a/x.jpg", "a/b/y.jpg", ".hidden/z.jpg", ".hidden/._z.jpg", "a/._x.jpg", "Thumbs.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "a/b/up").symlink_to(tmp_path)

    def found(pattern, folder=tmp_path):
        return [place.relative_to(tmp_path).as_posix() for place in files.matching(folder, pattern)]

    assert found("**/*.jpg") == ["a/b/y.jpg", "a/x.jpg"]
    assert found("*") == ["a"] and found(".hidden/*") == [".hidden/z.jpg"] and found("a\\?.jpg") == ["a/x.jpg"]
    assert found(f"{tmp_path}/a/*.jpg", Path("/nowhere")) == ["a/x.jpg"]
    assert found(f"{tmp_path}/.hidden/*.jpg") == [".hidden/z.jpg"]  # and not ._z.jpg
    for nothing in ("a/x.jpg", "*.png", "**x/y*", "\0*", "", "[", "x" * 5000 + "*"):
        assert found(nothing) == []


def test_patterns_look_into_so_many_folders(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").symlink_to(tmp_path / "a")
    (tmp_path / "a/two").symlink_to(tmp_path / "a")
    monkeypatch.setattr(files, "MOST_LOOKED_INTO", 100)
    assert len(files.matching(tmp_path, "*/*/*/*/*/")) == 16
    with pytest.raises(UserError, match="leads through more than 100 folders"):
        files.matching(tmp_path, "*/" * 20)
    for number in range(101):
        (tmp_path / f"{number}").mkdir()
    with pytest.raises(UserError, match="leads through more than 100 folders"):
        files.matching(tmp_path, "**/x*")


def test_a_pattern_says_which_folder_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    listdir = os.listdir

    def refuse(folder):
        if os.path.basename(folder) == "a":
            raise PermissionError(13, "Permission denied", str(folder))
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(UserError, match=r"/a: this folder cannot be read \(Permission denied\)"):
        files.matching(tmp_path, "*/*.jpg")
