"""Detections in files, folders and videos, with a network that always gives the same boxes."""

import json

import av
import numpy as np
import pytest
from PIL import Image

from tests.predict.test_detector import detector
from yolo9000_jax.errors import UserError
from yolo9000_jax.predict.files import predict

BOXES = ((0.3, 0.3, 0.4, 0.4, 0.9, 1), (0.7, 0.7, 0.3, 0.3, 0.6, 0))


@pytest.fixture(scope="module")
def detect():
    return detector(*BOXES, resize="stretch")


def save_picture(path, size=(80, 60), value=120):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)
    return path


def save_video(path, frames=6, size=(64, 48), rate=10):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            pixels = np.full((size[1], size[0], 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def read_video(path):
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate)
        return rate, [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def refused(*arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        predict(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_json_is_that_of_the_design(detect, tmp_path, said):
    path = save_picture(tmp_path / "a.jpg")
    items = predict(detect, [path])
    assert json.loads(json.dumps(items)) == items
    (item,) = items
    assert list(item) == ["image", "width", "height", "detections"]
    assert (item["image"], item["width"], item["height"]) == (str(path), 80, 60)
    assert [list(found) for found in item["detections"]] == [["box_xyxy", "score", "class", "label"]] * 2
    first, second = item["detections"]
    assert (first["class"], first["label"], second["class"], second["label"]) == (1, "dog", 0, "cat")
    np.testing.assert_allclose(first["box_xyxy"], [8, 6, 40, 30], atol=0.01)
    np.testing.assert_allclose(second["box_xyxy"], [44, 33, 68, 51], atol=0.01)
    assert said == [f"{path}: 1 cat, 1 dog"]


def test_threshold(detect, tmp_path, said):
    path = save_picture(tmp_path / "a.jpg")
    assert [len(predict(detect, [path], threshold=t)[0]["detections"]) for t in (0.5, 0.7, 0.95)] == [2, 1, 0]
    assert said[-1] == f"{path}: nothing found"


def test_folder_and_drawn_pictures(detect, tmp_path):
    for name in ("b.jpg", "a.png", "c.JPEG"):
        save_picture(tmp_path / "in" / name)
    (tmp_path / "in/notes.txt").write_text("no picture")
    items = predict(detect, [tmp_path / "in"], output=tmp_path / "out/deep")
    assert [item["image"] for item in items] == [str(tmp_path / "in" / name) for name in ("a.png", "b.jpg", "c.JPEG")]
    assert sorted(path.name for path in (tmp_path / "out/deep").iterdir()) == ["a.jpg", "b.jpg", "c.jpg"]
    with Image.open(tmp_path / "out/deep/a.jpg") as drawn:
        assert drawn.size == (80, 60)
        assert np.abs(np.asarray(drawn).astype(int) - 120).max() > 50


def test_names_that_clash(detect, tmp_path):
    paths = [save_picture(tmp_path / name, size) for name, size in (("x/a.jpg", (40, 40)), ("y/a.png", (60, 60)))]
    paths.append(save_picture(tmp_path / "z/a-2.jpg", (80, 80)))
    predict(detect, paths, output=tmp_path / "out")
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "out").iterdir()}
    assert len(sizes) == 3 and sizes["a.jpg"] == (40, 40) and sizes["a-2.jpg"] == (60, 60)
    assert sorted(sizes.values()) == [(40, 40), (60, 60), (80, 80)]


def test_pictures_are_not_overwritten_by_their_own_drawing(detect, tmp_path, monkeypatch):
    path = save_picture(tmp_path / "a.jpg")
    before = path.read_bytes()
    monkeypatch.chdir(tmp_path)
    predict(detect, [path], output=".")
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-2.jpg", "a.jpg"]


@pytest.mark.parametrize("size", [(64, 48), (62, 46)])
def test_video(detect, tmp_path, size):
    path = save_video(tmp_path / "v.mp4", size=size)
    items = predict(detect, [path], output=tmp_path / "out")
    assert [item["frame"] for item in items] == list(range(6))
    assert all(list(item) == ["image", "frame", "width", "height", "detections"] for item in items)
    assert all((item["width"], item["height"]) == size and len(item["detections"]) == 2 for item in items)
    rate, frames = read_video(tmp_path / "out/v.mp4")
    assert rate == 10 and len(frames) == 6 and frames[0].shape == (size[1], size[0], 3)
    original = read_video(path)[1]
    assert np.abs(frames[3].astype(int) - original[3]).max() > 50  # the boxes
    middle = np.s_[-4:, :4]  # a corner without boxes follows the original's brightness
    for drawn, plain in zip(frames, original, strict=True):
        assert abs(float(drawn[middle].mean()) - float(plain[middle].mean())) < 12


def test_pictures_and_videos_together(detect, tmp_path, said):
    paths = [
        save_picture(tmp_path / "a.jpg"),
        save_video(tmp_path / "v.mp4", frames=2),
        save_picture(tmp_path / "b.jpg"),
    ]
    items = predict(detect, paths)
    assert [item["image"] for item in items] == [str(paths[i]) for i in (0, 1, 1, 2)]
    assert said[1] == f"{paths[1]}: 2 frames, 4 objects"


def test_wrong_inputs(detect, tmp_path):
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty'}: no pictures in this folder" in refused(detect, [tmp_path / "empty"])
    assert "none.jpg: no such file or folder" in refused(detect, [tmp_path / "none.jpg"])
    (tmp_path / "text.jpg").write_text("hello")
    assert "text.jpg" in refused(detect, [tmp_path / "text.jpg"])
    (tmp_path / "text.mp4").write_text("hello " * 100)
    assert "text.mp4: not a video" in refused(detect, [tmp_path / "text.mp4"], output=tmp_path / "out")


def test_truncated_picture(detect, tmp_path):
    path = save_picture(tmp_path / "a.jpg", (200, 200))
    path.write_bytes(path.read_bytes()[:800])
    assert "a.jpg" in refused(detect, [path])


def test_video_without_pictures(detect, tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "sound.mp4" in refused(detect, [path])


@pytest.mark.parametrize("name, save", [("a.jpg", save_picture), ("a.mp4", save_video)])
def test_drawing_that_cannot_be_written(detect, tmp_path, name, save):
    (tmp_path / "out" / name).mkdir(parents=True)
    message = refused(detect, [save(tmp_path / name)], output=tmp_path / "out")
    assert message.startswith(f"{tmp_path / 'out' / name}: cannot write") and "choose another place" in message


def test_output_that_cannot_be_a_folder(detect, tmp_path):
    path = save_picture(tmp_path / "a.jpg")
    assert f"{path}: cannot make this folder" in refused(detect, [path], output=path)
