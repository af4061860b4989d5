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
from yolo9000_jax.errors import UserError


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
