"""Names and texts of files as other systems write them."""

import codecs
import os
import unicodedata
from pathlib import Path

import pytest

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
