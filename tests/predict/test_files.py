"""Detections in files, folders and videos, with a network that always gives the same boxes."""

import json
import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.predict.test_detector import detector
from yolo9000_jax.errors import UserError
from yolo9000_jax.predict import files
from yolo9000_jax.predict.files import Failures
from yolo9000_jax.predict.inputs import find_sources
from yolo9000_jax.text import is_printable

BOXES = ((0.3, 0.3, 0.4, 0.4, 0.9, 1), (0.7, 0.7, 0.3, 0.3, 0.6, 0))


@pytest.fixture(scope="module")
def detect():
    return detector(*BOXES, resize="stretch")


def predict(*arguments, **options) -> list:
    return list(files.predict(*arguments, **options))


def failures(items) -> list[str]:
    """The errors among the items, each one line."""
    assert all(("error" in item) != ("detections" in item) for item in items)
    errors = [item["error"] for item in items if "error" in item]
    assert not any("\n" in error for error in errors)
    return errors


def summary_of_failures(items) -> str | None:
    failures = Failures()
    for item in items:
        failures.add(item)
    return failures.summary()


def save_picture(path, size=(80, 60), value=120, format=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path, format)
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
        assert drawn.size == (320, 240), "so small a picture is drawn enlarged"
        assert np.abs(np.asarray(drawn).astype(int) - 120).max() > 50


def test_names_that_clash(detect, tmp_path):
    paths = [save_picture(tmp_path / name, size) for name, size in (("x/a.jpg", (40, 40)), ("y/a.png", (60, 60)))]
    paths.append(save_picture(tmp_path / "z/a-2.jpg", (80, 80)))
    predict(detect, paths, output=tmp_path / "out")
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "out").iterdir()}
    assert len(sizes) == 3 and sizes["a.jpg"] == (320, 320) and sizes["a-2.jpg"] == (360, 360)
    assert sorted(sizes.values()) == [(320, 320), (320, 320), (360, 360)], "enlarged 8, 6 and 4 times"


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


def test_inputs_that_cannot_be_read_are_named_and_the_others_are_done(detect, tmp_path, said):
    good = [save_picture(tmp_path / "a.jpg"), save_picture(tmp_path / "z.jpg")]
    cut = save_picture(tmp_path / "cut.jpg", (200, 200))
    cut.write_bytes(cut.read_bytes()[:800])
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "text.mp4").write_text("hello " * 100)
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "empty").mkdir()
    wrong = ["cut.jpg", "text.jpg", "gone.jpg", "none.jpg", "text.mp4", "empty"]
    paths = [good[0], *(tmp_path / name for name in wrong), good[1], "http://[broken/a.png"]
    items = predict(detect, paths, output=tmp_path / "out")
    assert [item["image"] for item in items] == list(map(str, paths))
    assert [len(item.get("detections", ())) for item in items] == [2, 0, 0, 0, 0, 0, 0, 2, 0]
    errors = failures(items)
    whats = ["truncated", "is not a picture", "is a link to a file that is not there", "no such file or folder"]
    whats += ["not a video", "no pictures or videos in this folder", "cannot be fetched"]
    for error, name, what in zip(errors, [*wrong, "broken"], whats, strict=True):
        assert name in error and what in error and error in said
    assert summary_of_failures(items) == "7 of 9 inputs could not be read; they are named above"
    assert summary_of_failures(items[:2]) == "1 of 2 inputs could not be read; it is named above"
    assert summary_of_failures(items[:1]) is None and summary_of_failures(items[1:2]) == errors[0]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jpg")) == ["a.jpg", "z.jpg"]


def test_only_broken_inputs(detect, tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    assert len(failures(predict(detect, [tmp_path]))) == 1


def test_folders(detect, tmp_path, said):
    """Hidden and system files are no pictures; what else is passed over is said."""
    for name in (
        "b.jfif",
        "a.PPM",
        "c.webp",
        "._a.jpg",
        ".hidden.png",
        "deeper/d.jpg",
        "__MACOSX/e.jpg",
        ".idea/f.png",
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path, {"b.jfif": "JPEG"}.get(name))
    (tmp_path / "in/Thumbs.db").write_bytes(b"\0" * 9)
    for name in ("notes.docx", "more.docx", "x.heic"):
        (tmp_path / "in" / name).write_text("no picture")
    items = predict(detect, [tmp_path / "in"])
    assert [item["image"] for item in items] == [str(tmp_path / "in" / name) for name in ("a.PPM", "b.jfif", "c.webp")]
    remark, folders = said[:2]
    assert "3 of its files are of a kind that is not read (2 .docx, 1 .heic)" in remark and "pillow-heif" in remark
    assert folders.endswith("not looked into; give them too (deeper)")
    (tmp_path / "up/in").mkdir(parents=True)
    save_picture(tmp_path / "up/in/a.jpg")
    (error,) = failures(predict(detect, [tmp_path / "up"]))
    assert "no pictures or videos in this folder" in error and "(in)" in error


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_lists(detect, tmp_path, monkeypatch, start):
    """Paths beside the list or from the working directory, Windows' too; blank lines, comments, odd names."""
    work, beside = tmp_path / "work", tmp_path / "lists"
    save_picture(work / "w/a b.jpg")
    save_picture(beside / "sub/c.jpg")
    save_picture(beside / "#1.jpg")
    odd = save_picture(beside / "odd.jpg").rename(beside / os.fsdecode(b"\xdd\xe7.jpg"))
    lines = [b"w/a b.jpg", b"", b"# a comment", b"sub\\c.jpg  ", b"#1.jpg", b"\xdd\xe7.jpg", b"w\\a b.jpg", b"none.jpg"]
    (beside / "list.txt").write_bytes(start + b"\r\n".join(lines) + b"\r\n")
    monkeypatch.chdir(work)
    items = predict(detect, [beside / "list.txt"], output=tmp_path / "out")
    assert [Path(item["image"]).name for item in items] == ["a b.jpg", "c.jpg", "#1.jpg", "\\xdd\\xe7.jpg", "none.jpg"]
    (error,) = failures(items)
    assert "none.jpg: no such file or folder" in error and "list.txt names it" in error
    assert (tmp_path / "out" / odd.name).is_file() and json.dumps(items).isascii()
    (beside / "empty.txt").write_bytes(start)
    assert "names no pictures" in failures(predict(detect, [beside / "empty.txt"]))[0]


def test_lists_of_utf16(detect, tmp_path):
    save_picture(tmp_path / "\u56fe.jpg")
    (tmp_path / "list.txt").write_text("\u56fe.jpg\r\n", encoding="utf-16")
    assert predict(detect, [tmp_path / "list.txt"])[0]["image"].endswith("\u56fe.jpg")


def test_what_is_named_twice_is_looked_at_once(detect, tmp_path, said):
    path = save_picture(tmp_path / "in/a.jpg")
    (tmp_path / "link.jpg").symlink_to(path)
    items = predict(detect, [path, tmp_path / "in", tmp_path / "link.jpg"])
    assert [item["image"] for item in items] == [str(path)]
    assert said[0] == "2 inputs named more than once: looked at once"


def test_pictures_by_content(detect, tmp_path):
    """Named themselves, pictures need no ending, and one that lies does no harm."""
    for name in ("photo", "list.txt", "a.mp4", "a.docx"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, "PNG")
    items = predict(detect, [tmp_path / name for name in ("photo", "list.txt", "a.mp4", "a.docx")])
    assert not failures(items) and all(item["width"] == 8 for item in items)


def test_drawings_of_names_that_differ_in_capitals(detect, tmp_path):
    """Some file systems take them for one, as they do composed and decomposed letters."""
    paths = [save_picture(tmp_path / name / file) for name, file in (("x", "A.jpg"), ("y", "a.jpg"))]
    paths += [save_picture(tmp_path / "x" / "\u00e4.jpg"), save_picture(tmp_path / "y" / "a\u0308.jpg")]
    predict(detect, paths, output=tmp_path / "out")
    assert len({path.name.casefold()[:1] + path.name[1:] for path in (tmp_path / "out").iterdir()}) == 4


@pytest.mark.parametrize("source", ["0", "rtsp://127.0.0.1:9/x", "http://127.0.0.1:9/a.mp4"])
def test_cameras_and_addresses_go_to_the_reader_of_videos(detect, tmp_path, monkeypatch, source):
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "_video", lambda detector, source, *_: asked.append(source) or iter(()))
    assert predict(detect, [source]) == [] and [each.name for each in asked] == [source]
    save_picture(tmp_path / "0", format="PNG")
    assert len(predict(detect, ["0"])) == 1  # a file is no camera


def test_a_pipe_is_no_file(detect, tmp_path):
    """Opening one waits for ever."""
    os.mkfifo(tmp_path / "a.jpg")
    save_picture(tmp_path / "b.jpg")
    one, other = predict(detect, [tmp_path])
    assert "neither a file nor a folder" in one["error"] and len(other["detections"]) == 2


def test_inputs_that_are_no_paths_keep_the_drawings_of_others(detect, tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    path = save_picture(tmp_path / "b.jpg")
    items = predict(detect, [tmp_path / "loop/x.jpg", "a\0.jpg", path], output=tmp_path / "out")
    assert ["error" in item for item in items] == [True, True, False] and (tmp_path / "out/b.jpg").is_file()


def test_the_best_of_many(detect, tmp_path, said):
    path = save_picture(tmp_path / "a.jpg")
    (item,) = predict(detect, [path], max_detections=1)
    assert [found["label"] for found in item["detections"]] == ["dog"]
    assert said == [f"{path}: 1 dog; 1 more beyond the limit of 1"]


def test_a_picture_on_its_side(detect, tmp_path):
    """Size, boxes and drawing are those of the picture as a viewer shows it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 60)).save(tmp_path / "a.jpg", exif=exif)
    (item,) = predict(detect, [tmp_path / "a.jpg"], output=tmp_path / "out")
    assert (item["width"], item["height"]) == (60, 80)
    np.testing.assert_allclose(item["detections"][0]["box_xyxy"], [6, 8, 30, 40], atol=0.01)
    with Image.open(tmp_path / "out/a.jpg") as drawn:
        assert drawn.size == (240, 320) and not drawn.getexif()


def test_video_without_pictures(detect, tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "sound.mp4" in failures(predict(detect, [path]))[0]


@pytest.mark.parametrize("name, save", [("a.jpg", save_picture), ("a.mp4", save_video)])
def test_drawing_that_cannot_be_written(detect, tmp_path, name, save):
    (tmp_path / "out" / name).mkdir(parents=True)
    message = refused(detect, [save(tmp_path / name)], output=tmp_path / "out")
    assert message.startswith(f"{tmp_path / 'out' / name}: cannot ") and "choose another place" in message


def test_a_drawing_larger_than_a_jpeg_can_be(detect, tmp_path, said):
    """Boxes are those of the picture; the drawing is smaller, which is said, and the next picture is done."""
    paths = [save_picture(tmp_path / "long.png", (70_000, 2)), save_picture(tmp_path / "z.jpg")]
    long, _ = predict(detect, paths, output=tmp_path / "out")
    assert long["width"] == 70_000 and long["detections"][0]["box_xyxy"][2] == pytest.approx(35_000, abs=1)
    with Image.open(tmp_path / "out/long.jpg") as drawn:
        assert drawn.size == (65_500, 2)
    assert any("long.jpg: drawn at 65500x2" in line for line in said) and (tmp_path / "out/z.jpg").is_file()


@pytest.mark.parametrize("letter", ["a", "\u56fe"])
def test_drawings_of_long_names(detect, tmp_path, letter):
    """A drawing's ending is longer than the picture's, and a number may stand before it."""
    stem = letter * (252 // len(letter.encode()))
    for name in ("x", "y"):
        save_picture(tmp_path / name / f"{stem}.j", format="PNG")
    predict(detect, [tmp_path / name / f"{stem}.j" for name in ("x", "y")], output=tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_names_with_control_characters(detect, tmp_path, said):
    """JSON has the name as it is; what is said of it stays on one line, and no console obeys it."""
    good = save_picture(tmp_path / "a\nb\x1b[31m.jpg")
    frames = save_video(tmp_path / "v\n.mp4", frames=1)
    (tmp_path / "c\n.gif").write_text("hello")
    (tmp_path / "list.txt").write_text("none\x1b.jpg\n")
    paths = [good, frames, tmp_path / "c\n.gif", tmp_path / "list.txt"]
    items = predict(detect, paths, output=tmp_path / "out")
    assert [item["image"] for item in items] == [*map(str, paths[:3]), "none\x1b.jpg"] and len(failures(items)) == 2
    assert len(said) == 5 and all(is_printable(line) for line in said)
    assert r"a\nb\x1b[31m.jpg: 1 cat" in said[0]


@pytest.mark.parametrize("name, save", [("a\n.jpg", save_picture), ("a\n.mp4", save_video)])
def test_an_odd_drawing_that_cannot_be_written(detect, tmp_path, name, save):
    (tmp_path / "out" / name).mkdir(parents=True)
    assert "choose another place" in refused(detect, [save(tmp_path / name)], output=tmp_path / "out")


def test_each_file_of_several_frames_is_told_of(detect, tmp_path, said):
    first, second = Image.new("RGB", (8, 5), "red"), Image.new("RGB", (8, 5), "blue")
    names = ("a.gif", "b.png", "c.tif", "d.webp")
    for name in names:
        first.save(tmp_path / name, save_all=True, append_images=[second])
    assert len(predict(detect, [tmp_path])) == 4
    for name in names:
        assert sum(f"{name} has several frames" in line for line in said) == 1


def test_folders_that_may_not_be_looked_into(detect, tmp_path, monkeypatch):
    """One that may be listed and not entered: asking what its entries are fails."""
    save_picture(tmp_path / "in/a.jpg")
    stat = os.stat

    def refuse(path, *arguments, **options):
        if str(path).startswith(str(tmp_path / "in") + "/"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refuse)
    (error,) = failures(predict(detect, [tmp_path / "in"]))
    assert "a.jpg" in error


def test_output_that_cannot_be_a_folder(detect, tmp_path):
    path = save_picture(tmp_path / "a.jpg")
    assert f"{path}: cannot make this folder" in refused(detect, [path], output=path)


def found_in(detect, path, text, **options) -> list[str]:
    """The names of what a list stands for, none of it unreadable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    items = predict(detect, [path])
    assert not failures(items)
    return [Path(item["image"]).name for item in items]


LINES = {
    "'a b.jpg'\n\"c.png\"\n": ["a b.jpg", "c.png"],
    "a b.jpg  # blurred\nc.png\n": ["a b.jpg", "c.png"],
    "sub/../*.png\n": ["c.png"],
    "/home/other/photos/c.png\n": ["c.png"],
    "C.PNG\n": ["c.png"],
    "a b.jpg 1\nc.png -1\n": ["a b.jpg"],
    "a b.jpg 1\nc.png 2\n": ["a b.jpg", "c.png"],
    "caf\xe9.jpg\n".encode("latin-1"): ["caf\xe9.jpg"],
    "caf\xe9.jpg\r\n".encode("latin-1"): ["caf\xe9.jpg"],
}


@pytest.mark.parametrize("text", LINES, ids=repr)
def test_lines_of_lists(detect, tmp_path, text):
    for name in ("a b.jpg", "c.png", "caf\xe9.jpg", "sub/d.jpg"):
        save_picture(tmp_path / name)
    assert found_in(detect, tmp_path / "list.txt", text) == LINES[text]


def test_a_list_of_the_devkit(detect, tmp_path, said):
    """It names no folder and no ending; of one class those marked with 1 are meant."""
    for name in ("000001.jpg", "000002.jpg"):
        save_picture(tmp_path / "JPEGImages" / name)
    place = tmp_path / "ImageSets/Main/dog_train.txt"
    assert found_in(detect, place, "000001  1\n000002 -1\n") == ["000001.jpg"]
    assert f"{place} marks 1 of its 2 pictures with 1: the others are left out" in said
    assert found_in(detect, place, "000001\n000002\n") == ["000001.jpg", "000002.jpg"]


def test_lists_that_cannot_be_read(detect, tmp_path):
    save_picture(tmp_path / "a.jpg")
    (tmp_path / "inner.txt").write_text("a.jpg\n")
    (tmp_path / "outer.txt").write_text("inner.txt\na.jpg\n")
    (error,) = failures(predict(detect, [tmp_path / "outer.txt"]))
    assert "inner.txt: a list in a list is not read; give it itself" in error and "outer.txt names it" in error
    for content in (bytes(range(256)) * 9, b"\xff\xfea", b"\xff\xfe\x00\xd8"):
        (tmp_path / "binary.txt").write_bytes(content)
        (error,) = failures(predict(detect, [tmp_path / "binary.txt"]))
        assert error.endswith("binary.txt: this list is no text; write one path a line, as UTF-8")


def test_patterns_that_no_shell_has_expanded(detect, tmp_path, monkeypatch):
    for name in ("b.jpg", "a.jpg", "._c.jpg", "d[1].jpg"):
        save_picture(tmp_path / name)
    items = predict(detect, [f"{tmp_path}/[ab]*.jpg"])
    assert [Path(item["image"]).name for item in items] == ["a.jpg", "b.jpg"]
    monkeypatch.chdir(tmp_path)
    assert [item["image"] for item in predict(detect, ["*.jpg"])] == ["a.jpg", "b.jpg", "d[1].jpg"]
    assert [item["image"] for item in predict(detect, ["d[1].jpg"])] == ["d[1].jpg"]
    assert failures(predict(detect, ["*.png"])) == ["*.png: no such file or folder"]


def test_motion_jpeg(detect, tmp_path):
    """Pictures one behind the other begin as one does: the ending tells."""
    parts = [save_picture(tmp_path / f"{number}.jpg", value=40 * number) for number in range(4)]
    for ending in (".mjpeg", ".MJPG"):
        path = tmp_path / f"clip{ending}"
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        assert [item["frame"] for item in predict(detect, [path])] == [0, 1, 2, 3]


def test_what_is_no_file(detect, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "pipe")
    errors = failures(predict(detect, ["loop.jpg", "gone.jpg", "-", "pipe"]))
    save = "save what comes from it, a picture or a list of paths, to a file and give that"
    assert errors == [
        "loop.jpg: is a link that leads to itself",
        "gone.jpg: is a link to a file that is not there",
        f"-: standard input is not read: {save}",
        f"pipe: neither a file nor a folder: {save}",
    ]


def test_the_only_input_s_fault_is_left_to_the_caller(detect, tmp_path, said):
    """Who has the item need not read of it twice."""
    (error,) = failures(predict(detect, [tmp_path / "none.jpg"]))
    assert error not in said
    assert len(failures(predict(detect, [tmp_path / "none.jpg", tmp_path / "other.jpg"]))) == 2 and error in said


def test_a_path_as_file_managers_give_it(detect, tmp_path):
    path = save_picture(tmp_path / "a b.jpg")
    assert [item["image"] for item in predict(detect, [path.as_uri()])] == [str(path)]
    assert "none.jpg: no such file" in failures(predict(detect, [f"file://{tmp_path}/none.jpg"]))[0]


def test_links_named_as_patterns(detect, tmp_path, monkeypatch):
    """What a folder holds, and what a pattern matches, is no pattern itself."""
    (tmp_path / "*.jpg").symlink_to("nowhere")
    (tmp_path / "?.jpg").symlink_to("?.jpg")
    save_picture(tmp_path / "a.jpg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("*.jpg\n")
    for given in (".", "a*.jpg", "[*?a]*jpg", "list.txt"):
        items = predict(detect, [given])
        assert "a.jpg" in [item["image"] for item in items if "detections" in item]
        assert all("is a link" in error for error in failures(items))
    assert failures(predict(detect, ["*.jpg"])) == ["*.jpg: is a link to a file that is not there"]


def test_brackets_alone_are_no_pattern(detect, tmp_path):
    """A missing a[1].jpg is not a1.jpg."""
    save_picture(tmp_path / "a1.jpg")
    (tmp_path / "list.txt").write_text("a[1].jpg\n")
    for given in (tmp_path / "a[1].jpg", tmp_path / "list.txt"):
        assert "a[1].jpg: no such file or folder" in failures(predict(detect, [given]))[0]


@pytest.mark.parametrize("pattern", ["../ex/*/../*.jpg", "/**/none*", "*/" * 1500 + "a.jpg"])
def test_patterns_that_are_refused(detect, tmp_path, pattern):
    (tmp_path / "list.txt").write_text(f"{pattern}\n")
    (error,) = failures(predict(detect, [pattern]))
    (listed,) = failures(predict(detect, [tmp_path / "list.txt"]))
    assert error.startswith(pattern[:20]) and listed.startswith(pattern[:20]) and "list.txt names it" in listed


@pytest.mark.parametrize("line", ['"http://127.0.0.1:9/a.jpg"', "http://127.0.0.1:9/a.jpg  # blurred"])
def test_an_address_in_a_list_is_no_file_of_its_name(detect, tmp_path, monkeypatch, said, line):
    save_picture(tmp_path / "a.jpg")
    (tmp_path / "list.txt").write_text(f"{line}\n")
    monkeypatch.chdir(tmp_path)
    (item,) = predict(detect, ["list.txt"])
    assert item["image"] == "http://127.0.0.1:9/a.jpg" and "cannot be fetched" in item["error"] and said == []


def test_paths_of_file_managers_in_a_list(detect, tmp_path):
    path = save_picture(tmp_path / "a b.jpg")
    for line in (path.as_uri(), f'"{path.as_uri()}"', f"{path.as_uri()}  # blurred", f"{path.as_uri()} 1"):
        assert found_in(detect, tmp_path / "lists/list.txt", line) == ["a b.jpg"]


def test_a_namesake_in_the_working_directory_is_another_picture(detect, tmp_path, monkeypatch):
    save_picture(tmp_path / "work/a.jpg")
    (tmp_path / "list.txt").write_text("'/gone/a.jpg'  # blurred\n")
    monkeypatch.chdir(tmp_path / "work")
    assert failures(predict(detect, ["../list.txt"])) == ["/gone/a.jpg: no such file or folder; ../list.txt names it"]


def test_a_pattern_in_a_list_matches_videos_too(detect, tmp_path):
    save_picture(tmp_path / "in/a.jpg")
    save_video(tmp_path / "in/b.mp4", frames=1)
    (tmp_path / "in/notes.docx").write_text("no picture")
    assert found_in(detect, tmp_path / "list.txt", "in/*\n") == ["a.jpg", "b.mp4"]


def test_a_list_that_marks_nothing(detect, tmp_path):
    save_picture(tmp_path / "a.jpg")
    (tmp_path / "list.txt").write_text("a.jpg 0\nb.jpg -1\n")
    (error,) = failures(predict(detect, [tmp_path / "list.txt"]))
    assert "list.txt: this list marks none of its 2 pictures with 1" in error


@pytest.mark.parametrize("name", ["list.txt", "a.mp4"])
def test_what_stands_for_a_list_or_a_video(detect, tmp_path, name):
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    assert "is a pointer of Git LFS" in failures(predict(detect, [tmp_path / name]))[0]


@pytest.mark.parametrize("given", ["", " "])
def test_an_empty_input_is_not_the_working_directory(given):
    (source,) = find_sources([given], videos=True)
    assert source.error == "an empty input: name a file, a folder or an address"
