"""The training input: a pure function of (seed, step); epochs, shares of processes, sizes, padding, file formats."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from yolo9000_jax import config as configs
from yolo9000_jax.data import pipeline
from yolo9000_jax.data.counts import fullest
from yolo9000_jax.data.records import Dataset, Record
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.images.resizing import Resize

RECORDS = 11
KEYS = {"images", "colour", "boxes_cxcywh", "labels", "mask"}
PLAIN = {"geometry": "none", "flip": 0.0, "hue": 0.0, "saturation": 1.0, "exposure": 1.0}


def configuration(augment=PLAIN, include_difficult=False, **values):
    top = {"seed": 7, "steps": 40, "batch_size": 4, "image_size": 32} | values
    return configs.complete({**top, "augment": augment, "data": {"include_difficult": include_difficult}})


def rendered(count=RECORDS):
    """Record i is a picture of level 20 i with i % 4 boxes, box j of class j; the last of three is difficult."""

    def record(index):
        number = index % 4
        boxes = np.float32([[4 * j, 2 * j, 4 * j + 8, 2 * j + 6] for j in range(number)]).reshape(-1, 4)
        picture = np.full((20, 40, 3), 20 * index, np.uint8)
        difficult = np.arange(number) == 2
        return Record(f"fake {index}", None, 40, 20, boxes, np.arange(number, dtype=np.int32), difficult, picture.copy)

    return Dataset("fake", "train", ("a", "b", "c"), [record(index) for index in range(count)], rendered=True)


def batches(dataset, config, start=0, count=None, max_boxes=3, **processes):
    return list(islice(pipeline.detection_batches(dataset, config, start, config.steps, max_boxes, **processes), count))


def assert_same(first, second):
    assert first.keys() == second.keys() == KEYS
    for key in KEYS:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def indexes(batch):
    """Which records the pictures of a plain batch show."""
    return [int(round(level / 20)) for level in batch["images"].mean((1, 2, 3))]


def test_batches_are_a_function_of_seed_and_step():
    config = configuration(augment={"jitter": 0.3}, multi_scale=(32, 64), multi_scale_every=2)
    whole = batches(rendered(), config, count=9)
    for start in (1, 5):
        for ours, expected in zip(batches(rendered(), config, start, 9 - start), whole[start:], strict=True):
            assert_same(ours, expected)
    other = batches(rendered(), configuration(augment={"jitter": 0.3}, seed=8), count=9)
    assert all((ours["colour"] != expected["colour"]).any() for ours, expected in zip(other, whole, strict=True))
    colours = np.concatenate([batch["colour"] for batch in whole])
    assert len(np.unique(colours[:, 0])) == len(colours)  # every example has numbers of its own


def test_no_more_pictures_are_fetched_ahead_than_memory_holds(monkeypatch):
    monkeypatch.setattr(pipeline, "BATCHES_AHEAD", 16)
    assert [pipeline.batches_ahead(share) for share in (0, 1, 64, 1024, 9999)] == [16, 16, 16, 2, 1]


def test_the_run_ends_with_its_steps():
    config = configuration(steps=6)
    assert len(batches(rendered(), config)) == 6
    assert len(batches(rendered(), config, start=4)) == 2
    assert batches(rendered(), config, start=6) == []


@pytest.mark.parametrize("count", [1, 2, RECORDS])
def test_every_epoch_is_a_permutation(count):
    dataset, config = rendered(count), configuration()
    drawn = [indexes(batch) for batch in batches(dataset, config)]
    assert drawn == [pipeline.batch_records(dataset, config, step) for step in range(config.steps)]
    flat = sum(drawn, [])
    epochs = [flat[first : first + count] for first in range(0, len(flat) - count + 1, count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    if count == RECORDS:
        assert len(set(map(tuple, epochs))) == len(epochs)
        other = [pipeline.batch_records(dataset, configuration(seed=8), step) for step in range(config.steps)]
        assert other != drawn


@pytest.mark.parametrize("processes", [2, 4])
def test_shares_of_the_processes_make_the_batch(processes):
    config = configuration(augment={}, multi_scale=(32, 64), multi_scale_every=1)
    whole = batches(rendered(), config, 2, 4)
    shares = [
        batches(rendered(), config, 2, 4, process_index=index, process_count=processes) for index in range(processes)
    ]
    for expected, parts in zip(whole, zip(*shares, strict=True), strict=True):
        assert {len(part["images"]) for part in parts} == {4 // processes}
        assert_same({key: np.concatenate([part[key] for part in parts]) for key in KEYS}, expected)


def test_a_process_reads_no_picture_of_another():
    records = [*rendered()]
    read = [[], []]

    def noting(record, process):
        return replace(record, read=lambda: read[process].append(record.name) or record.read())

    config = configuration(steps=2)
    for process in range(2):
        dataset = Dataset("fake", "train", ("a", "b", "c"), [noting(each, process) for each in records], lazy=True)
        assert len(batches(dataset, config, process_index=process, process_count=2)) == 2
    for places, pictures in zip((slice(0, 2), slice(2, 4)), read, strict=True):
        first = [pipeline.batch_records(dataset, config, step)[places] for step in range(2)]
        assert sorted(pictures) == sorted(f"fake {index}" for index in sum(first, []))


def test_sizes_change_at_their_steps_only():
    config = configuration(batch_size=1, steps=60, multi_scale=(32, 64, 96), multi_scale_every=3)
    shapes = [batch["images"].shape for batch in batches(rendered(), config)]
    assert all(shape == (1, shape[1], shape[1], 3) for shape in shapes)
    sizes = [shape[1] for shape in shapes]
    assert set(sizes) == {32, 64, 96}
    blocks = [set(sizes[first : first + 3]) for first in range(0, 60, 3)]
    assert all(len(block) == 1 for block in blocks)
    fixed = batches(rendered(), configuration(multi_scale=(), image_size=96), count=2)
    assert {batch["images"].shape for batch in fixed} == {(4, 96, 96, 3)}


@pytest.mark.parametrize(("include_difficult", "max_boxes"), [(False, 3), (True, 3), (True, 5)])
def test_boxes_are_padded_masked_and_cut(include_difficult, max_boxes):
    config = configuration(include_difficult=include_difficult)
    for batch in batches(rendered(), config, count=6, max_boxes=max_boxes):
        assert [(batch[key].shape[1:], batch[key].dtype.name) for key in ("boxes_cxcywh", "labels", "mask")] == [
            ((max_boxes, 4), "float32"),
            ((max_boxes,), "int32"),
            ((max_boxes,), "bool"),
        ]
        for row, index in enumerate(indexes(batch)):
            number = min(index % 4 if include_difficult else min(index % 4, 2), max_boxes)
            assert batch["mask"][row].tolist() == [j < number for j in range(max_boxes)]
            assert batch["labels"][row].tolist() == [*range(number)] + [0] * (max_boxes - number)
            expected = [[(4 * j + 4) / 40, (2 * j + 3) / 20, 8 / 40, 6 / 20] for j in range(number)]
            np.testing.assert_allclose(batch["boxes_cxcywh"][row, :number], np.reshape(expected, (-1, 4)), atol=1e-6)
            assert not batch["boxes_cxcywh"][row, number:].any()


def test_which_boxes_are_too_many_is_drawn_by_seed():
    """In every epoch anew, each box as often as the others; those that are left stand in the order of the file."""
    drawn = {}
    for seed in (7, 8):
        config = configuration(include_difficult=True, seed=seed, steps=8 * RECORDS)
        found = batches(rendered(), config, max_boxes=2)
        pairs = [
            (epoch // RECORDS, tuple(labels[mask]))
            for step, batch in enumerate(found)
            for epoch, index, labels, mask in zip(
                range(4 * step, 4 * step + 4), indexes(batch), batch["labels"], batch["mask"], strict=True
            )
            if index % 4 == 3
        ]
        drawn[seed] = [labels for _, labels in sorted(pairs)]
        counts = np.bincount(np.concatenate(drawn[seed]), minlength=3)
        assert set(drawn[seed]) == {(0, 1), (0, 2), (1, 2)} and len(drawn[seed]) == 64
        assert abs(counts - 2 / 3 * 64).max() < 4 * (64 * 2 / 9) ** 0.5
    assert drawn[7] != drawn[8]


def test_cut_boxes_lie_in_the_input():
    config = configuration(augment={"geometry": "crop", "jitter": 0.4}, include_difficult=True)
    found = batches(rendered(), config)
    assert len({int(batch["mask"].sum()) for batch in found}) > 2
    for batch in found:
        boxes = batch["boxes_cxcywh"][batch["mask"]]
        low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
        assert (boxes[:, 2:] >= 0.001 - 1e-6).all() and (low >= -1e-6).all() and (high <= 1 + 1e-6).all()


def test_fullest():
    assert fullest(rendered()) == 3
    assert fullest(rendered(1)) == 1  # its only picture has no box
    assert fullest(rendered(0)) == 1


# Files


def write_yolo(folder, pictures):
    """A YOLO data set of {file name: (save, label lines)}, `save` writing the picture to a path."""
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    for name, (save, lines) in pictures.items():
        save(folder / "images" / name)
        (folder / "labels" / name).with_suffix(".txt").write_text("\n".join(lines))
    (folder / "data.yaml").write_text(json.dumps({"train": "images", "names": ["a", "b"]}))
    return open_source(f"yolo:{folder / 'data.yaml'}", "train")


def blocks(width=32, height=32):
    """A picture of 8-pixel blocks of random colours."""
    levels = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(np.kron(levels, np.ones((8, 8, 1), np.uint8)))


FORMATS = {
    "grey.png": lambda path: blocks().convert("L").save(path),
    "palette.png": lambda path: blocks().convert("P").save(path),
    "alpha.png": lambda path: blocks().convert("RGBA").save(path),
    "deep.png": lambda path: Image.fromarray(np.asarray(blocks().convert("L")).astype(np.uint16) * 257).save(path),
    "bilevel.png": lambda path: blocks().convert("1").save(path),
    "grey.jpg": lambda path: blocks().convert("L").save(path),
    "colour.jpg": lambda path: blocks().save(path, quality=95),
    "cmyk.jpg": lambda path: blocks().convert("CMYK").save(path, quality=95),
    "turned.jpg": lambda path: blocks().save(path, exif=turned_exif()),
    "colour.bmp": lambda path: blocks().save(path),
    "palette.bmp": lambda path: blocks().convert("P").save(path),
    "bilevel.bmp": lambda path: blocks().convert("1").save(path),
    "moving.gif": lambda path: blocks().save(path, save_all=True, append_images=[Image.new("RGB", (32, 32))]),
    "colour.webp": lambda path: blocks().save(path, lossless=True),
    "colour.tif": lambda path: blocks().save(path),
    "misnamed.jpg": lambda path: blocks().save(path, format="PNG"),
}


def turned_exif():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_as_pillow_reads_it(tmp_path, name):
    dataset = write_yolo(tmp_path, {name: (FORMATS[name], ["1 0.25 0.5 0.5 0.5"])})
    [batch] = batches(dataset, configuration(steps=1, batch_size=1), max_boxes=2)
    np.testing.assert_array_equal(batch["images"][0], dataset[0].read())  # the input has the picture's own size
    np.testing.assert_allclose(batch["boxes_cxcywh"][0], [[0.25, 0.5, 0.5, 0.5], [0, 0, 0, 0]], atol=1e-6)
    assert batch["labels"].tolist() == [[1, 0]] and batch["mask"].tolist() == [[True, False]]


@pytest.mark.parametrize("geometry", ["none", "place"])
def test_a_picture_that_is_not_augmented_is_what_prediction_makes_of_it(tmp_path, geometry):
    """Byte for byte: a wide, a high, a small and a square picture, stretched; a square one on grey is all of it."""
    sizes = [(100, 75), (61, 90), (20, 11), (50, 50)] if geometry == "none" else [(50, 50), (13, 13)]
    pictures = {f"{width}.jpg": (blocks(104, 96).crop((0, 0, width, height)).save, []) for width, height in sizes}
    dataset = write_yolo(tmp_path, pictures | {"x.png": (blocks().save, ["0 .5 .5 .5 .5"])})
    config = configuration(augment=PLAIN | {"geometry": geometry, "jitter": 0.0}, steps=4, batch_size=5)
    for size in (64, 96):
        config.image_size = size
        for step, batch in enumerate(batches(dataset, config)):
            for image, index in zip(batch["images"], pipeline.batch_records(dataset, config, step), strict=True):
                expected = Resize("stretch", "half_pixel").apply(dataset[index].read(), size, size)
                np.testing.assert_array_equal(image.astype(np.float32) / np.float32(255), expected)


def test_files_of_all_sorts_in_one_batch(tmp_path):
    """A big picture, a small one, a grey one; with two boxes, none, and one."""
    big = np.zeros((1200, 2000, 3), np.uint8)
    big[300:900, 500:1500] = (200, 100, 50)
    pictures = {
        "big.jpg": (Image.fromarray(big).save, ["0 0.5 0.5 0.5 0.5", "1 0.1 0.2 0.1 0.2"]),
        "small.png": (Image.new("RGB", (3, 2), (9, 8, 7)).save, []),
        "grey.png": (Image.new("L", (30, 50), 77).save, ["1 0.5 0.25 0.2 0.1"]),
    }
    dataset = write_yolo(tmp_path, pictures)
    config = configuration(batch_size=3, image_size=64, steps=2)
    for step, batch in enumerate(batches(dataset, config, max_boxes=fullest(dataset))):
        chosen = [dataset[index] for index in pipeline.batch_records(dataset, config, step)]
        rows = {record.name.split(".")[0]: row for row, record in enumerate(chosen)}
        assert sorted(rows) == ["big", "grey", "small"]
        assert batch["mask"][rows["big"]].tolist() == [True, True]
        np.testing.assert_allclose(batch["boxes_cxcywh"][rows["big"], 0], [0.5] * 4, atol=1e-6)
        np.testing.assert_allclose(batch["images"][rows["big"], 32, 32].astype(int), [200, 100, 50], atol=4)
        assert batch["images"][rows["big"], 4, 4].max() < 4
        assert batch["mask"][rows["small"]].tolist() == [False, False]
        np.testing.assert_allclose(batch["images"][rows["small"], 32, 32].astype(int), [9, 8, 7], atol=1)
        assert batch["mask"][rows["grey"]].tolist() == [True, False]
        assert batch["labels"][rows["grey"]].tolist() == [1, 0]
        np.testing.assert_allclose(batch["images"][rows["grey"], 2:-2, 2:-2].astype(int), 77, atol=1)


OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def write_voc(folder, objects):
    """A VOC data set of one picture of 50x40."""
    blocks(56, 40).crop((0, 0, 50, 40)).save(folder / "one.png")
    inner = "".join(OBJECT.format(*values) for values in objects)
    (folder / "one.xml").write_text(f"<annotation><filename>one.png</filename>{inner}</annotation>")
    return open_source(f"voc:{folder}", "all")


@pytest.mark.parametrize("include_difficult", [False, True])
def test_difficult_boxes_of_files(tmp_path, include_difficult):
    dataset = write_voc(tmp_path, [("cat", 1, 1, 1, 25, 20), ("dog", 0, 26, 21, 50, 40), ("cat", 0, 1, 1, 50, 40)])
    [batch] = batches(dataset, configuration(steps=1, batch_size=1, include_difficult=include_difficult))
    expected = [(0, [0.25, 0.25, 0.5, 0.5])] * include_difficult + [(1, [0.75, 0.75, 0.5, 0.5]), (0, [0.5, 0.5, 1, 1])]
    mask = batch["mask"][0]
    assert mask.sum() == len(expected)
    assert batch["labels"][0][mask].tolist() == [label for label, _ in expected]
    np.testing.assert_allclose(batch["boxes_cxcywh"][0][mask], [box for _, box in expected], atol=1e-6)


def test_files_without_any_box(tmp_path):
    dataset = write_voc(tmp_path, [("cat", 1, 1, 1, 25, 20)])
    [batch] = batches(dataset, configuration(steps=1, batch_size=2))
    assert batch["images"].shape == (2, 32, 32, 3) and not batch["mask"].any()
