"""Videos: as a player shows them, at their times, whatever they are called, whole or damaged, wherever they are."""

import http.server
import os
import socket
import threading
import time
from contextlib import contextmanager
from fractions import Fraction
from itertools import count, islice

import av
import numpy as np
import pytest
from PIL import Image

from tests.images.videos import quarters, read_video, save_video
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import video
from yolo9000_jax.images.video import Frame, is_video, newest, open_video
from yolo9000_jax.images.video_writer import VideoWriter

ONE = 1 << 16  # in a display matrix


def read(source):
    """The frames, and what is wrong."""
    with open_video(source) as opened:
        frames = list(opened.frames())
        return frames, opened.fault


def copy(source, target):
    """Reads a video and writes it again, as prediction does."""
    with open_video(source) as opened:
        writer = None
        for pixels, seconds, duration, _ in opened.frames():
            writer = writer or VideoWriter(target, opened.rate, pixels.shape, opened.pixel_aspect)
            writer.write(pixels, seconds, duration)
        writer.close()
    return read_video(target)


def refused(source):
    with pytest.raises(UserError) as caught:
        read(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def as_shown(pixels, a, b, c, d):
    """Each pixel where the display matrix puts it."""
    height, width = pixels.shape[:2]
    places = {(b * p + d * q, a * p + c * q): pixels[q, p] for q in range(height) for p in range(width)}
    rows, columns = ([place[axis] for place in places] for axis in (0, 1))
    shown = np.zeros((max(rows) - min(rows) + 1, max(columns) - min(columns) + 1, 3), np.uint8)
    for (row, column), value in places.items():
        shown[row - min(rows), column - min(columns)] = value
    return shown


TURNS = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
FLIPS = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


@pytest.mark.parametrize("a, b, c, d", TURNS + FLIPS)
def test_a_display_matrix(tmp_path, a, b, c, d):
    matrix = (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)
    path = save_video(tmp_path / "a.mp4", frames=2, size_wh=(32, 24), matrix=matrix)
    plain = save_video(tmp_path / "b.mp4", frames=2, size_wh=(32, 24))
    (first, *_), fault = read(path)
    expected = as_shown(read_video(plain)[2][0], a, b, c, d)
    assert fault is None and first.pixels.shape == expected.shape
    np.testing.assert_array_equal(first.pixels, expected)
    *_, (written, _), _ = copy(path, tmp_path / "c.mp4")
    assert np.abs(written.astype(int) - expected).mean() < 12, "upright, without a matrix"


def test_a_rotation_as_phones_write_it(tmp_path):
    """Held upright: stored lying, to be turned clockwise by 90 degrees."""
    path = save_video(tmp_path / "a.mp4", frames=1, matrix=(0, ONE, 0, -ONE, 0, 0, 48 * ONE, 0, 1 << 30))
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation == -90
    ((pixels, *_),), _ = read(path)
    assert np.abs(pixels.astype(int) - np.rot90(quarters() * 0.7, -1)).mean() < 12


RATES = [Fraction(25, 2), Fraction(30000, 1001), Fraction(1, 2), Fraction(1, 60), Fraction(60000, 1001), Fraction(1000)]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
@pytest.mark.parametrize("rate", RATES, ids=str)
def test_a_rate_is_kept(tmp_path, rate, suffix):
    path = save_video(tmp_path / f"a{suffix}", frames=7, rate=rate, codec="mjpeg")
    written, length, frames, times = copy(path, tmp_path / "b.mp4")
    assert written == rate and len(frames) == 7
    assert length == pytest.approx(7 / rate, abs=1e-3)
    np.testing.assert_allclose(times, np.arange(7) / float(rate), atol=1e-4)


def test_odd_rates_have_the_right_length(tmp_path):
    for rate in (Fraction(120000, 1001), Fraction(2_997_003, 100_000)):
        path = save_video(tmp_path / "a.mkv", frames=20, rate=rate, codec="mjpeg")
        assert copy(path, tmp_path / "b.mp4")[1] == pytest.approx(float(20 / rate), abs=2e-3)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_times_of_a_variable_rate_are_kept(tmp_path, suffix):
    times = [0, 0.033, 0.5, 0.517, 3.25, 3.3, 3.333, 9.01]
    path = save_video(tmp_path / f"a{suffix}", frames=len(times), rate=30, times=times, codec="mjpeg")
    _, _, frames, written = copy(path, tmp_path / "b.mp4")
    assert len(frames) == len(times)
    np.testing.assert_allclose(written, times, atol=1.1e-3)


def test_a_clock_that_is_set_back_and_frames_at_one_time(tmp_path):
    """As in recordings that were joined: no frame is lost."""
    parts = [save_video(tmp_path / f"{n}.ts", frames=4, codec="mpeg2video", rate=25) for n in (0, 1)]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, _ = read(path)
    gaps = np.diff([float(frame.seconds) for frame in frames])
    assert len(frames) == 8 and (gaps > 0).all() and gaps.max() < 1


@pytest.mark.parametrize("size", [(65, 49), (64, 47), (63, 48), (16, 1), (3, 2)])
def test_odd_sizes(tmp_path, size):
    writer = VideoWriter(tmp_path / "a.mp4", Fraction(10), (size[1], size[0], 3))
    for number in range(3):
        writer.write(quarters(*size), Fraction(number, 10))
    writer.close()
    frames = read_video(tmp_path / "a.mp4")[2]
    assert len(frames) == 3
    assert frames[0].shape[0] - size[1] in (0, 1) and frames[0].shape[1] - size[0] in (0, 1)
    if min(size) > 16:
        assert np.abs(frames[0][: size[1], : size[0]].astype(int) - quarters(*size)).mean() < 12


def test_the_aspect_of_pixels_is_kept(tmp_path):
    path = save_video(tmp_path / "a.mp4", pixel_aspect=Fraction(16, 15))
    copy(path, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)


def test_a_size_that_changes(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", Fraction(10), (48, 64, 3))
    for number, size in enumerate([(64, 48), (32, 24), (128, 96)]):
        writer.write(quarters(*size), Fraction(number, 10))
    writer.close()
    assert [np.abs(frame.astype(int) - quarters()).mean() < 16 for frame in read_video(tmp_path / "a.mp4")[2]] == [
        True
    ] * 3


ENDINGS = {
    ".mpg": "mpeg1video", ".MPEG": "mpeg1video", ".ts": "mpeg2video", ".MTS": "mpeg2video", ".vob": "mpeg2video",
    ".wmv": "wmv2", ".asf": "wmv2", ".3gp": "mpeg4", ".avi": "mpeg4", ".MOV": "mpeg4", ".flv": "flv1", ".mkv": "mjpeg",
    ".m4v": "mpeg4",
}  # fmt: skip
FORMATS = {".MTS": "mpegts", ".MPEG": "mpeg", ".vob": "vob", ".m4v": "mp4", ".MOV": "mov", ".flv": "flv"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings(tmp_path, ending):
    options = {"format": FORMATS[ending]} if ending in FORMATS else {}
    codec = ENDINGS[ending].replace("flv1", "flv")
    path = save_video(tmp_path / f"a{ending}", rate=25, codec=codec, **options)
    assert ending.lower() in video.VIDEO_EXTENSIONS and is_video(path)
    frames, fault = read(path)
    assert (len(frames), fault) == (6, None)
    bare = path.rename(tmp_path / "recording")  # by what it holds
    assert is_video(bare) and len(read(bare)[0]) == 6


@pytest.mark.parametrize(
    "name", ["1:2.mp4", "rtsp:x.mp4", "%03d.mp4", "a b#c?.mp4", os.fsdecode(b"\xdd\xe7.mp4"), "日.mp4"]
)
def test_names(tmp_path, name):
    save_video(tmp_path / "a.mp4").rename(tmp_path / name)
    assert len(read(tmp_path / name)[0]) == 6
    assert copy(tmp_path / name, tmp_path / f"out {name}")[0] == 10


def test_what_is_no_video(tmp_path):
    (tmp_path / "notes").write_text("hello\n" * 100)
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(5000))
    Image.fromarray(quarters()).save(tmp_path / "picture", "JPEG")
    Image.fromarray(quarters()).save(tmp_path / "a.png")
    for name in ("notes", "noise", "picture", "a.png", "nothing"):
        assert not is_video(tmp_path / name)
        assert f"{tmp_path / name}: not a video" in refused(tmp_path / name)
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    assert "not a video" in refused(tmp_path / "list.mp4")


def test_a_song_with_a_cover(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "it holds no moving pictures" in refused(tmp_path / "a.mp4")


def test_frames_that_would_fill_the_memory(tmp_path, monkeypatch):
    path = save_video(tmp_path / "a.mp4")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    assert "64x48" in refused(path)


@pytest.mark.parametrize(
    "suffix, codec", [(".mp4", "mjpeg"), (".avi", "mjpeg"), (".mkv", "mpeg4"), (".mp4", "mpeg4"), (".mp4", "libx264")]
)
def test_damaged_packets(tmp_path, suffix, codec):
    path = save_video(tmp_path / f"a{suffix}", frames=20, codec=codec)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for position, size in places[8:11]:
        content[position + 8 : position + size] = b"\xff" * (size - 8)
    path.write_bytes(content)
    frames, fault = read(path)
    assert 10 <= len(frames) <= 20
    assert fault is not None and "damaged" in fault, len(frames)
    *_, last = frames
    assert float(last.seconds) == pytest.approx(1.9), "the others keep their times"


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_lost_packets_of_a_transport_stream(tmp_path, codec):
    """As of a broadcast: the decoder passes over the frame, or makes one up, and only the packet is marked."""
    content = save_video(tmp_path / "a.ts", frames=40, rate=25, codec=codec).read_bytes()
    first = len(content) // 188 // 3
    lost = 0
    for place in range(first * 188, (first + 10) * 188, 188):
        (tmp_path / "b.ts").write_bytes(content[:place] + content[place + 188 :])
        frames, fault = read(tmp_path / "b.ts")
        lost += len(frames) < 40
        assert len(frames) == 40 or "damaged" in str(fault)
    assert lost


@pytest.mark.parametrize("suffix, options", [(".mkv", {}), (".avi", {}), (".mp4", {"movflags": "faststart"})])
def test_truncated_files(tmp_path, suffix, options):
    path = save_video(tmp_path / f"a{suffix}", frames=20, codec="mjpeg", options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames, fault = read(path)
    assert 5 < len(frames) < 15
    assert "it ends after" in fault


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_recording_that_begins_between_two_whole_pictures(tmp_path, codec):
    """As a camera's are cut: nothing of it is damaged."""
    path = save_video(tmp_path / "a.ts", frames=40, rate=25, codec=codec)
    path.write_bytes(path.read_bytes()[188 * (path.stat().st_size // 188 // 3) :])
    frames, fault = read(path)
    assert 10 <= len(frames) < 40 and fault is None


def test_a_file_of_which_nothing_can_be_decoded(tmp_path):
    path = save_video(tmp_path / "a.mkv", codec="mjpeg")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\xff\xd8\xff") - 4])
    assert str(path) in refused(path)
    path.write_bytes(b"")
    assert refused(path) == f"{path} is empty: fetch it again"


# Cameras and addresses.


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(video, "WAIT_SECONDS", 0.5)


@contextmanager
def served(answer):
    """The address of a server that gives every request to `answer(handler)`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["a.mpg", "live"])
def test_a_video_from_an_address(tmp_path, name):
    content = save_video(tmp_path / "a.mpg", codec="mpeg1video", rate=25).read_bytes()

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mpeg")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with served(answer) as address:
        assert is_video(f"{address}/{name}")
        frames, fault = read(f"{address}/{name}")
        assert (len(frames), fault) == (6, None)


@pytest.mark.parametrize("says_length", [True, False])
def test_an_address_is_live_where_nobody_says_how_long_it_is(tmp_path, says_length):
    """Of a file on a server every frame is wanted."""
    content = save_video(tmp_path / "a.ts", codec="mpeg2video", rate=25).read_bytes()

    def answer(handler):
        handler.send_response(200)
        if says_length:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with served(answer) as address, open_video(f"{address}/a.ts") as opened:
        assert opened.live != says_length
        assert [frame.number for frame in opened.frames()] == list(range(6))
    with open_video(tmp_path / "a.ts") as opened:
        assert not opened.live


def numbered(number):
    return Frame(quarters(), Fraction(number), Fraction(0), number)


def test_the_newest_of_frames_that_come_too_fast():
    begun, come = threading.Event(), threading.Event()

    def camera():
        yield numbered(0)
        assert begun.wait(60)
        for number in range(1, 5):
            yield numbered(number)
        come.set()
        assert looked_at.wait(60)
        yield numbered(5)
        yield numbered(6)

    looked_at = threading.Event()
    frames = newest(camera())
    assert next(frames).number == 0
    begun.set()
    assert come.wait(60)  # meanwhile the caller was busy
    assert next(frames).number == 4
    looked_at.set()
    rest = [frame.number for frame in frames]
    assert rest in ([5, 6], [6]), "the last always comes"


def test_what_goes_wrong_comes_behind_the_last_frame():
    def camera():
        yield numbered(0)
        raise UserError("unplugged")

    frames = newest(camera())
    assert next(frames).number == 0
    with pytest.raises(UserError, match="unplugged"):
        next(frames)


def test_who_wants_no_more_frames_leaves_no_thread():
    closed = []

    def camera():
        try:
            for number in count():
                yield numbered(number)
        finally:
            closed.append(threading.current_thread())

    frames = newest(camera())
    next(frames)
    frames.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "newest frame"]


@pytest.mark.parametrize("wide, high", [(8200, 16), (16, 9000), (70_000, 2)])
def test_frames_larger_than_a_video_can_be(tmp_path, wide, high, said):
    writer = VideoWriter(tmp_path / "a.mp4", Fraction(10), (high, wide, 3))
    writer.write(quarters(wide, high), Fraction(0))
    writer.close()
    _, _, (frame,), _ = read_video(tmp_path / "a.mp4")
    assert (
        max(frame.shape) == 8190
        and frame.shape[1] / frame.shape[0] == pytest.approx(wide / high, rel=0.05)
        or high == 2
    )
    assert "a.mp4: drawn at" in said[0]


def test_addresses_of_pictures_are_none_of_videos():
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "image/jpeg")
        handler.end_headers()

    with served(answer) as address:
        assert not is_video(f"{address}/a.jpg") and not is_video(f"{address}/picture?id=1")


def test_addresses_that_do_not_answer(impatient):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme in ("rtsp", "http"):
            begun = time.monotonic()
            address = f"{scheme}://127.0.0.1:{port}/a.mp4"
            assert f"{address}: cannot be opened" in refused(address)
            assert time.monotonic() - begun < 5
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "cannot be opened" in refused(f"rtsp://127.0.0.1:{port}/x")
    assert "cannot be opened" in refused("nonsense://x/y")


def test_a_camera_that_is_not_there(impatient):
    message = refused("87")
    assert message.startswith("87: ") and "/dev/video87" in message
    assert is_video("87")


def test_names_of_nothing():
    for name in ("http://[::1", "9" * 5000, "a\0b", "x" * 5000, "://"):
        assert is_video(name) in (False, True)
        refused(name)


def test_a_file_called_as_a_camera(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_video(tmp_path / "a.mp4").rename(tmp_path / "0")
    assert len(read("0")[0]) == 6


def test_a_stream_that_breaks_off(tmp_path):
    """A camera that is unplugged: its frames are there, and what happened is said."""
    with open_video(save_video(tmp_path / "v.mkv", frames=20, codec="mjpeg")) as video:
        whole = video._container

        class Broken:
            close, duration, streams = whole.close, whole.duration, whole.streams

            def demux(self, stream):
                yield from islice(whole.demux(stream), 5)
                raise OSError(5, "Input/output error")

        video._container, video.live = Broken(), True
        assert len(list(video.frames())) == 5
        assert "broke off" in video.fault and "Input/output error" in video.fault
