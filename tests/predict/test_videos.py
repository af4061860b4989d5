"""Detections in videos: turned, damaged, stopped in the middle, and from a camera that is not there."""

import threading
from fractions import Fraction
from itertools import islice

import pytest

from tests.images.videos import read_video, save_video
from tests.predict.test_detector import detector
from yolo9000_jax.images.video import Video, open_video
from yolo9000_jax.predict import files
from yolo9000_jax.predict.files import predict
from yolo9000_jax.predict.inputs import Source

BOXES = ((0.3, 0.3, 0.4, 0.4, 0.9, 1), (0.7, 0.7, 0.3, 0.3, 0.6, 0))
ONE = 1 << 16  # in a display matrix
THRESHOLDS = {"threshold": 0.25, "nms": 0.45}


@pytest.fixture(scope="module")
def detect():
    return detector(*BOXES, resize="stretch")


def test_a_turned_video(detect, tmp_path):
    """A phone held upright: the network sees, JSON tells of, and the drawing shows the picture upright."""
    path = save_video(tmp_path / "v.MOV", frames=3, format="mov", matrix=(0, ONE, 0, -ONE, 0, 0, 48 * ONE, 0, 1 << 30))
    items = list(predict(detect, [path], output=tmp_path / "out", batch_size=2))
    assert [(item["width"], item["height"]) for item in items] == [(48, 64)] * 3
    assert items[0]["detections"][0]["box_xyxy"] == pytest.approx([4.8, 6.4, 24, 32], abs=0.01)
    rate, length, frames, _ = read_video(tmp_path / "out/v.mp4")
    assert (rate, length) == (10, pytest.approx(0.3)) and frames[0].shape == (64, 48, 3)


def test_the_drawing_keeps_times(detect, tmp_path):
    times = [0, 0.5, 0.6, 2.5]
    path = save_video(tmp_path / "v.mkv", frames=4, rate=30, times=times, codec="mjpeg")
    list(predict(detect, [path], output=tmp_path / "out", batch_size=2))
    assert read_video(tmp_path / "out/v.mp4")[3] == pytest.approx(times, abs=2e-3)
    path = save_video(tmp_path / "w.mkv", rate=Fraction(30000, 1001), codec="mjpeg")
    list(predict(detect, [path], output=tmp_path / "out", batch_size=2))
    assert read_video(tmp_path / "out/w.mp4")[0] == Fraction(30000, 1001)


def test_a_truncated_video(detect, tmp_path, said):
    """Its frames are there, then what is wrong; the others follow."""
    path, whole = (save_video(tmp_path / f"{name}.mkv", frames=20, codec="mjpeg") for name in "ab")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    items = list(predict(detect, [path, whole], output=tmp_path / "out", batch_size=2))
    mine = [item for item in items if item["image"] == str(path)]
    *good, bad = mine
    assert [item["frame"] for item in mine] == list(range(len(mine))) and 5 < len(good) < 15
    assert all(len(item["detections"]) == 2 for item in good)
    assert list(bad) == ["image", "frame", "error"] and "it ends after" in bad["error"]
    assert bad["error"] in said
    assert len(items) == len(mine) + 20
    assert len(read_video(tmp_path / "out/a.mp4")[2]) == len(good)


def test_a_drawing_that_is_stopped_is_whole(detect, tmp_path):
    path = save_video(tmp_path / "v.mp4", frames=20)
    items = files._video(detect, Source(str(path), True), tmp_path / "out.mp4", 2, THRESHOLDS)
    assert [item["frame"] for item in islice(items, 5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyboardInterrupt):
        items.throw(KeyboardInterrupt)
    assert len(read_video(tmp_path / "out.mp4")[2]) == 5


def test_frames_are_not_gathered(detect, tmp_path, monkeypatch):
    """A video may be long: only a few frames are read ahead of what is given out."""
    read, frames = [], Video.frames

    def counted(self):
        for frame in frames(self):
            read.append(frame.seconds)
            yield frame

    monkeypatch.setattr(Video, "frames", counted)
    items = files._video(detect, Source(str(save_video(tmp_path / "v.mp4", frames=60)), True), None, 2, THRESHOLDS)
    next(items)
    assert 0 < len(read) < 20
    items.close()


def test_what_comes_live_is_looked_at_now(detect, tmp_path, monkeypatch, said):
    """The newest frame whenever the network is free, those between are counted; the drawing keeps the times."""
    come, frames = threading.Event(), Video.frames

    def fast(self):
        for frame in frames(self):
            yield frame
            if frame.number == 0:
                assert busy.wait(60)
            if frame.number == 10:
                come.set()
                assert free.wait(60)

    busy, free = threading.Event(), threading.Event()
    monkeypatch.setattr(Video, "frames", fast)
    monkeypatch.setattr(files, "open_video", lambda name: live(open_video(name)))
    path = save_video(tmp_path / "v.mp4", frames=20)
    items = predict(detect, [path], output=tmp_path / "out")
    assert next(items)["frame"] == 0
    busy.set()
    assert come.wait(60)
    assert next(items)["frame"] == 10
    free.set()
    numbers = [0, 10, *(item["frame"] for item in items)]
    assert numbers == sorted(set(numbers)) and numbers[-1] == 19
    assert said[-2].endswith(f"objects; {20 - len(numbers)} came too fast and were passed over")
    assert read_video(tmp_path / "out/v.mp4")[3] == pytest.approx([number / 10 for number in numbers], abs=2e-3)


def live(video):
    video.live = True
    return video


def test_a_camera_that_is_stopped(detect, tmp_path, monkeypatch):
    """Its drawing is whole, its thread has ended, and only then it is closed."""
    threads, leave = [], Video.__exit__

    def closed(self, *error):
        threads.append([thread for thread in threading.enumerate() if thread.name == "newest frame"])
        leave(self, *error)

    monkeypatch.setattr(Video, "__exit__", closed)
    monkeypatch.setattr(files, "open_video", lambda name: live(open_video(name)))
    items = predict(detect, [save_video(tmp_path / "v.mp4", frames=50)], output=tmp_path / "out")
    next(items)
    with pytest.raises(KeyboardInterrupt):
        items.throw(KeyboardInterrupt)
    assert threads == [[]] and len(read_video(tmp_path / "out/v.mp4")[2]) == 1
