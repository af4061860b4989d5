"""Whatever a user gives as a picture becomes the same pixels, or one line that says what is wrong."""

import http.server
import io
import socket
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tests.predict.test_detector import detector
from yolo9000_jax.data.records import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.predict import pictures
from yolo9000_jax.predict.pictures import are_many, to_pixels

PIXELS = np.random.default_rng(5).integers(0, 256, (6, 9, 3), np.uint8)
GREY = np.repeat(PIXELS[..., :1], 3, axis=2)


def png(pixels=PIXELS) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def refused(picture) -> str:
    with pytest.raises(UserError) as caught:
        to_pixels(picture)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "given, expected",
    [
        (PIXELS, PIXELS),
        (jnp.asarray(PIXELS), PIXELS),
        (PIXELS[..., 0], GREY),
        (PIXELS[..., :1], GREY),
        (np.concatenate([PIXELS, np.full_like(PIXELS[..., :1], 255)], -1), PIXELS),
        (np.concatenate([PIXELS, np.zeros_like(PIXELS[..., :1])], -1)[:, ::-1], PIXELS[:, ::-1]),  # nothing to see else
        (PIXELS / 255, PIXELS),
        ((PIXELS / 255).astype(np.float32), PIXELS),
        ((PIXELS[..., 0] / 255).astype(np.float16), GREY),
        (PIXELS.tolist(), PIXELS),
        (PIXELS.astype(np.float64), PIXELS),
        (PIXELS.astype(np.uint16) * 16 + 7, PIXELS),
        (PIXELS.astype(np.uint16) * 256 + 7, PIXELS),
        (PIXELS.astype(np.int32), PIXELS),
        (PIXELS > 127, 255 * (PIXELS > 127)),
        (Image.fromarray(PIXELS), PIXELS),
        (png(), PIXELS),
        (bytearray(png()), PIXELS),
        (io.BytesIO(png()), PIXELS),
    ],
)
def test_forms_of_a_picture(given, expected):
    found = to_pixels(given)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_files_and_records(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    record = Record("a", None, 9, 6, np.zeros((0, 4), np.float32), np.int32([0]), np.zeros(1, bool), lambda: PIXELS)
    with (tmp_path / "a.png").open("rb") as file:
        for given in (tmp_path / "a.png", str(tmp_path / "a.png"), file, record):
            np.testing.assert_array_equal(to_pixels(given), PIXELS)
    assert "b.png" in refused(tmp_path / "b.png")


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "F"]
)
def test_pillow_pictures_of_any_mode(mode):
    """Two colours, black and white, that every mode can hold; Pillow cannot convert to all of them in one step."""
    steps = {"La": "LA", "PA": "LA", "RGBa": "RGBA"}
    picture = Image.fromarray(np.repeat(255 * (PIXELS[..., :1] > 127), 3, axis=2).astype(np.uint8))
    if mode == "PA":
        picture = picture.convert("L").convert("PA")
    else:
        for step in filter(None, (steps.get(mode), mode)):
            picture = picture.convert(step)
    assert picture.mode == mode
    found = to_pixels(picture)
    assert found.dtype == np.uint8 and found.shape == (6, 9, 3)
    assert np.abs(found.astype(int) - 255 * (PIXELS[..., :1] > 127)).max() <= 1


def test_pillow_pictures_of_16_bits_keep_the_upper_8():
    wide = PIXELS[..., 0].astype(np.uint16) * 256 + 37
    np.testing.assert_array_equal(to_pixels(Image.fromarray(wide)), GREY)
    np.testing.assert_array_equal(to_pixels(Image.fromarray(wide.astype(np.int32))), GREY)


@pytest.mark.parametrize(
    "wrong, part",
    [
        (np.zeros((4, 4, 2), np.uint8), "uint8 [4, 4, 2] is no picture"),
        (np.zeros((3, 40, 40), np.uint8), "uint8 [3, 40, 40] is no picture"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 [0, 4, 3]"),
        (np.full((4, 4, 3), -1, np.int32), "a picture of int32 from -1 to -1"),
        (np.full((4, 4, 3), 70_000, np.int32), "a picture of int32 from 70000"),
        (np.full((4, 4, 3), 2.0), "float64 from 2 to 2"),
        (np.full((4, 4, 3), 300.0), "float64 from 300 to 300"),
        (np.full((4, 4, 3), -0.5), "float64 from -0.5"),
        (np.full((4, 4, 3), np.nan), "float64 from nan"),
        (None, "None (NoneType) is no picture"),
        (3, "3 (int) is no picture"),
        (Image.new("RGB", (0, 5)), "0x5 pixels"),
        (b"no picture", "what the bytes hold is not a picture"),
    ],
)
def test_what_is_no_picture(wrong, part):
    assert part in refused(wrong)


def test_one_or_many():
    several = ([PIXELS], (PIXELS, PIXELS), np.stack([PIXELS, PIXELS]), [], jnp.zeros((2, 4, 4, 3)))
    assert all(map(are_many, several))
    assert not any(map(are_many, ("a.png", b"a", PIXELS, Image.fromarray(PIXELS), PIXELS[..., 0], None)))


def test_a_list_gives_a_list(tmp_path):
    detect = detector((0.5, 0.3, 0.4, 0.2, 0.5, 0), brightness=3.0)
    given = [np.full((20 + n, 30, 3), 25 * n, np.uint8) for n in range(10)]
    found = detect(given, threshold=0.2)
    assert isinstance(found, list) and [result.image.shape[0] for result in found] == list(range(20, 30))
    for picture, result in zip(given, found, strict=True):
        np.testing.assert_allclose(result.scores, detect(picture, threshold=0.2).scores, rtol=1e-6)
    assert detect([]) == [] and len(detect(np.stack([given[0]] * 3))) == 3


# Pictures on the web, from a server of this machine's own.


class Server(http.server.BaseHTTPRequestHandler):
    """/a.png is a picture, /text is none, /long never ends, /slow comes drop by drop, /cut ends too early."""

    def do_GET(self):  # noqa: N802
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/a.png")
            self.end_headers()
            return
        if self.path not in ("/a.png", "/text", "/long", "/slow", "/cut"):
            self.send_error(404)
            return
        self.send_response(200)
        body = b"<html>" if self.path == "/text" else png()
        if self.path in ("/a.png", "/text", "/cut"):
            self.send_header("Content-Length", str(len(body) + (9 if self.path == "/cut" else 0)))
        self.end_headers()
        try:
            while True:
                self.wfile.write(body)
                if self.path not in ("/long", "/slow"):
                    break
                self.wfile.flush()
                time.sleep(0.05 if self.path == "/slow" else 0)
        except OSError:
            pass  # the other side had enough

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web():
    """The address of the server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_addresses(web, monkeypatch):
    np.testing.assert_array_equal(to_pixels(f"{web}/a.png"), PIXELS)
    np.testing.assert_array_equal(to_pixels(f"{web}/moved"), PIXELS)
    assert detector()(f"{web}/a.png").image.shape == PIXELS.shape
    assert "404" in refused(f"{web}/none.png")
    assert f"{web}/text is a web page" in refused(f"{web}/text")
    assert "cannot be fetched" in refused(f"{web}/cut")
    monkeypatch.setattr(pictures, "URL_BYTES", 1 << 20)
    assert "more than 1 MiB" in refused(f"{web}/long")
    monkeypatch.setattr(pictures, "URL_SECONDS", 0.3)
    started = time.monotonic()
    assert "cannot be fetched (not whole after 0.3 s)" in refused(f"{web}/slow")
    assert time.monotonic() - started < 10


def test_addresses_where_nobody_answers(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert "cannot be fetched" in refused(f"http://127.0.0.1:{port}/a.png")
    assert "cannot be fetched" in refused("http://[broken/a.png")
    monkeypatch.setattr(pictures, "URL_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "timed out" in refused(f"http://127.0.0.1:{silent.getsockname()[1]}/a.png")
