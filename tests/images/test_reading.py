"""Reading of pictures: all kinds, good and broken; the same pixels from Pillow and from TensorFlow's op."""

import errno
import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from tests.helpers import ROOT
from tests.images.pictures import encoded_pictures, picture, png, png_chunk
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import pixels as pixels_module
from yolo9000_jax.images.pixels import to_rgb
from yolo9000_jax.images.reading import (
    EXTENSIONS,
    FORMATS,
    Header,
    decode,
    inspect,
    inspect_bytes,
    plain_jpeg_head,
    read,
)
from yolo9000_jax.text import printable


def test_read_gives_rgb_bytes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png"), pixels)
    np.testing.assert_array_equal(read(str(tmp_path / "a.png")), pixels)

    transparent = np.concatenate([pixels, np.zeros((5, 7, 1), np.uint8)], -1)
    Image.fromarray(transparent).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read(tmp_path / "b.png"), pixels)

    Image.fromarray(pixels[..., 0]).save(tmp_path / "c.png")
    np.testing.assert_array_equal(read(tmp_path / "c.png"), np.repeat(pixels[..., :1], 3, -1))

    Image.fromarray(pixels[..., 0].astype(np.uint16) * 256 + 99).save(tmp_path / "d.png")
    np.testing.assert_array_equal(read(tmp_path / "d.png"), np.repeat(pixels[..., :1], 3, -1))

    for mode, name in (("P", "e.gif"), ("1", "f.png"), ("CMYK", "g.jpg")):
        Image.fromarray(pixels).convert(mode).save(tmp_path / name)
        result = read(tmp_path / name)
        assert result.shape == (5, 7, 3) and result.dtype == np.uint8


def one_line_about(path):
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert printable(str(path)) in message and "\n" not in message
    with pytest.raises(UserError):
        inspect(path)
    return message


def test_files_that_are_no_pictures(tmp_path):
    assert "no such" in one_line_about(tmp_path / "missing.jpg")
    assert "is a folder" in one_line_about(tmp_path)
    assert "no such" in one_line_about(tmp_path / "a\0b.jpg")
    for name, content, what in (("empty.jpg", b"", "is empty"), ("text.png", b"<html>404</html>", "is a web page")):
        (tmp_path / name).write_bytes(content)
        assert what in one_line_about(tmp_path / name)
        with pytest.raises(UserError, match=f"the fifth {what}"):
            decode(content, "the fifth")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [13_400, 60_000])
def test_a_small_file_with_a_huge_picture(tmp_path, side):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(file)
    assert "178956970 pixels, Pillow's limit" in one_line_about(tmp_path / "bomb.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_large_pictures_up_to_twice_pillows_limit(tmp_path, monkeypatch):
    """From the limit on Pillow warns, from twice that on it opens nothing; ours is the second."""
    pixels = picture(50, 40)
    pixels.save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), np.asarray(pixels))
    assert inspect(tmp_path / "a.png") == Header(50, 40, plain=True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 999)
    assert "Pillow's limit" in one_line_about(tmp_path / "a.png")


@pytest.mark.parametrize("name", encoded_pictures())
def test_large_pictures_are_converted_by_rows(name, monkeypatch):
    """The same pixels, however few rows are converted at once."""
    data = encoded_pictures()[name]
    whole = decode(data, name)
    monkeypatch.setattr(pixels_module, "BAND_PIXELS", 70)
    np.testing.assert_array_equal(decode(data, name), whole)


def test_what_the_system_refuses_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    picture(8, 8).save(path)

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)
    assert "cannot be read (Permission denied)" in one_line_about(path)
    monkeypatch.setattr(os, "stat", refuse)  # a folder above may not be entered
    assert "cannot be read (Permission denied)" in one_line_about(path)


@pytest.mark.skipif(sys.platform != "linux", reason="has no file that opens and cannot be read")
def test_a_file_that_fails_while_it_is_read():
    assert "/proc/self/mem: this picture cannot be read" in one_line_about("/proc/self/mem")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    assert "neither a file nor a folder" in one_line_about(tmp_path / "a.jpg")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", ["exif", "profile", "xmp"])
def test_the_orientation_of_a_png(kind, late, monkeypatch):
    """It may stand before the pixels or behind them; only in the second case they are decoded to look."""
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = f"Raw profile type exif\0\nexif\n{len(exif.tobytes())}\n{exif.tobytes().hex()}".encode()
    xmp = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'
    chunk = {"exif": (b"eXIf", exif.tobytes()[6:]), "profile": (b"tEXt", profile), "xmp": (b"iTXt", xmp)}[kind]
    data = png(2, 8, extra=b"" if late else png_chunk(*chunk))
    end = data.index(b"IEND") - 4
    data = data[:end] + (png_chunk(*chunk) + png_chunk(b"tEXt", b"date\0now") if late else b"") + data[end:]
    assert decode(data, "a.png").shape == (9, 7, 3)
    loaded, load = [], PngImageFile.load
    monkeypatch.setattr(PngImageFile, "load", lambda image: loaded.append(1) or load(image))
    assert inspect_bytes(data, "a.png") == Header(7, 9, 6)
    assert bool(loaded) == late
    loaded.clear()
    ordinary = png(2, 8)
    end = ordinary.index(b"IEND") - 4
    dated = ordinary[:end] + png_chunk(b"tEXt", b"date:create\0now") + ordinary[end:]
    assert inspect_bytes(dated, "a.png") == Header(9, 7, 1, plain=True) and not loaded


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), format=st.sampled_from(["png", "jpeg", "gif", "bmp", "webp", "tiff", "ppm", "tga", "jp2"]))
def test_damaged_files_are_read_or_reported(tmp_path, data, format):
    path = tmp_path / f"picture.{format}"
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        result = read(path)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert result.ndim == 3 and result.shape[2] == 3 and result.dtype == np.uint8


@pytest.mark.parametrize("name", encoded_pictures())
def test_header_and_pixels(tmp_path, name):
    data = encoded_pictures()[name]
    (tmp_path / name).write_bytes(data)
    pixels = decode(data, name)
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    np.testing.assert_array_equal(read(tmp_path / name), pixels)
    np.testing.assert_array_equal(to_rgb(Image.open(io.BytesIO(data)), name), pixels)
    header = inspect(tmp_path / name)
    assert (header.height, header.width) == pixels.shape[:2] and header == inspect_bytes(data, name)
    assert header.orientation == (6 if "turned" in name else 1)


def test_endings_are_those_of_the_formats():
    """As Pillow knows them; of formats that it writes, a file of that ending is read."""
    known = Image.registered_extensions()
    assert {known[ending] for ending in EXTENSIONS} - {"MPO"} == set(FORMATS)


@pytest.mark.parametrize("ending", [ending for ending in EXTENSIONS if ending not in (".pfm", ".heic", ".heif")])
def test_a_file_of_each_ending(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    Image.new("RGB", (8, 6), (200, 30, 30)).save(path)
    assert np.abs(read(path).astype(int) - [200, 30, 30]).max() < 90 and read(path).shape == (6, 8, 3)
    assert (inspect(path).width, inspect(path).height) == (8, 6)


def test_pillow_s_warning_of_large_pictures_is_left_as_it_was(tmp_path):
    """Our own reading is silent; whoever else opens a picture in this process hears of it."""
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    program = (
        "import sys, warnings; warnings.simplefilter('error')\n"
        "from PIL import Image; from yolo9000_jax.images.reading import inspect, read\n"
        "Image.MAX_IMAGE_PIXELS = 600\n"
        "assert read(sys.argv[1]).shape == (30, 30, 3) and inspect(sys.argv[1]).width == 30\n"
        "try: Image.open(sys.argv[1])\n"
        "except Image.DecompressionBombWarning: print('heard')\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.png"], capture_output=True, text=True, cwd=ROOT
    )
    assert (found.stdout, found.stderr) == ("heard\n", "")


@pytest.mark.parametrize("before", [b"", b"\n\x05image"])
def test_the_head_of_a_plain_jpeg(before, monkeypatch):
    """It is found in whatever holds the file, and of no picture that is not plain."""
    found = {}
    for name, data in encoded_pictures().items():
        head = plain_jpeg_head(before + data)
        plain = inspect_bytes(data, name).plain
        assert data.startswith(head) and (plain or not head), name
        found[name] = bool(head)
        assert all(not plain_jpeg_head(data[:length]) for length in range(0, len(head), 7))
    assert sum(found.values()) > 5
    whole = next(data for name, data in encoded_pictures().items() if found[name])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert not plain_jpeg_head(whole)
