"""Text that can be printed, and the places that everything to be printed goes through."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax import logs
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.sources import open_classes, open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.text import is_printable, printable

ODD = "a\x1b[31m\nb\x9b\u202e"
ESCAPED = "a\\x1b[31m\\nb\\x9b\\u202e"
USUAL = ("Käse", "می‌خواهم", "👩‍🌾", "שלום\u200f", "猫", "a b")  # with joiners and marks that scripts need


def test_control_characters_are_escaped():
    assert printable(ODD) == ESCAPED and not is_printable(ODD)
    assert [printable(text) for text in USUAL] == list(USUAL) and all(map(is_printable, USUAL))


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_text_on_one_line(text):
    said = printable(text)
    assert is_printable(said) and len(said.splitlines()) <= 1 and said.encode().decode() == said
    assert printable(said) == said


def test_what_is_said_goes_through_it(capsys):
    assert str(UserError(ODD)) == ESCAPED
    assert Dataset("x", "all", ["cat"], [], notes=[ODD]).noted([ODD]).notes == (ESCAPED, ESCAPED)
    logs._Printer().emit(logging.LogRecord("a", logging.INFO, "", 0, "%s\nc", (ODD,), None))
    assert capsys.readouterr().out == "a\\x1b[31m\nb\\x9b\\u202e\nc\n"


@pytest.mark.parametrize("name", ["ev\x1b[2Jil", "two\nlines", "\u202egod", " "])
def test_class_names_that_cannot_be_printed_are_refused_by_every_source(tmp_path, name):
    write_picture(tmp_path / "folders" / name / "a.jpg")
    for read in (open_source, open_classes):
        with pytest.raises(UserError, match="is no name that can be printed: rename it") as caught:
            read(f"folders:{tmp_path}/folders")
        assert is_printable(str(caught.value))


def test_class_names_of_xml_files(tmp_path):
    write_picture(tmp_path / "a.jpg")
    write_xml(tmp_path / "a.xml", [("cat\x9b2J", 0, 1, 1, 5, 5)])
    with pytest.raises(UserError, match=r"class 'cat\\x9b2J' is no name that can be printed"):
        open_source(f"voc:{tmp_path}")


def test_names_of_every_script_stay(tmp_path):
    for name in USUAL:
        write_picture(tmp_path / name / "a.jpg")
    assert open_source(f"folders:{tmp_path}").classes == tuple(sorted(USUAL))


@pytest.mark.parametrize("broken", [False, True])
def test_file_names_in_messages_and_notes(tmp_path, run, broken):
    odd = "a\x1b[31m\nb"
    picture = write_picture(tmp_path / f"cat/{odd}.jpg")
    write_picture(tmp_path / f"cat/._{odd}.jpg")
    if broken:
        picture.write_bytes(b"none")
    status, output, error = run("check", "--dataset", f"folders:{tmp_path}")
    assert status == broken and "\x1b" not in output + error
    if broken:
        assert error.count("\n") == 1 and "a\\x1b[31m\\nb.jpg is not a picture" in error
    else:
        assert "._a\\x1b[31m\\nb.jpg)" in output
        assert open_source(f"folders:{tmp_path}")[0].read().dtype == np.uint8
