"""What `check` says of boxes, classes and pictures, beside numbers counted by hand or by plain loops."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.test_detection import record
from yolo9000_jax.boxes.geometry import shape_iou
from yolo9000_jax.data import check as data_check
from yolo9000_jax.data import likeness
from yolo9000_jax.data.balance import balance, near_names, rare_classes
from yolo9000_jax.data.check import count
from yolo9000_jax.data.fitness import fitness
from yolo9000_jax.data.likeness import Thumbnails, alike, thumbnail
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.survey import Survey, alike_lines, alike_pictures, in_short
from yolo9000_jax.data.suspects import SAME_IOU, spread, suspicious_boxes
from yolo9000_jax.data.table import GroundTruth
from yolo9000_jax.report import check as report_check


def truth_of(*pictures, size=(640, 480)):
    """Of pictures [[(label, x0, y0, x1, y1), …], …]."""
    rows = [row for picture in pictures for row in picture]
    counts = np.array([len(picture) for picture in pictures], np.int64)
    boxes = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    labels = np.array([row[0] for row in rows], np.int32)
    return GroundTruth(
        np.tile(np.int32(size), (len(pictures), 1)), boxes, labels, np.zeros(len(rows), bool), counts, counts
    )


def usual(count=30, label=0, side=60):
    """Pictures with a box each, nearly square, a little different from each other."""
    return [[(label, 100 + n, 90, 100 + n + side + n % 5, 90 + side + n % 3)] for n in range(count)]


def test_each_kind_of_suspicious_box():
    odd = [
        [(0, 200, 200, 210, 210)],  # tiny for its class
        [(0, 0, 0, 640, 480)],  # all of the picture
        [(0, 100, 100, 300, 115)],  # odd aspect
        [(0, 100, 100, 160, 160), (0, 101, 100, 161, 160)],  # doubled
        [(0, 100, 100, 160, 160), (1, 100, 100, 160, 161)],  # two labels
        [(1, 5, 5, 6.5, 40)],  # too narrow for any class
        [(0, 0, 300, 8, 360)],  # cut off by the border: any shape
    ]
    truth = truth_of(*usual(), *odd)
    clipped = np.arange(len(truth.labels)) == 3
    found = suspicious_boxes(truth, 2, clipped)
    places = {kind: [(each.picture, each.box) for each in boxes] for kind, boxes in found.items()}
    assert places == {
        "tiny": [(35, 0), (30, 0)],
        "huge": [(31, 0)],
        "outside": [(3, 0)],
        "odd_aspect": [(32, 0)],
        "doubled": [(33, 1)],
        "two_labels": [(34, 1)],
    }
    assert found["huge"][0].box_xyxy == (0, 0, 640, 480)


def test_what_is_usual_is_not_suspicious():
    """All sizes in a class; few boxes of a class; a class that fills its pictures; difficult boxes."""
    sizes = [[(0, 10, 10, 10 + 4 * 1.1**n, 10 + 4 * 1.1**n)] for n in range(45)]
    full = [[(1, 0, 0, 640, 480)]] * 30
    assert not any(suspicious_boxes(truth_of(*sizes, *full, [(2, 1, 1, 5, 5)], [(2, 1, 1, 600, 9)]), 3).values())
    truth = truth_of(*usual(), [(0, 200, 200, 201, 210)])
    truth.difficult[-1] = True
    assert not any(suspicious_boxes(truth, 1).values())


def test_doubled_boxes_as_a_loop_finds_them():
    rng = np.random.default_rng(5)
    low = rng.integers(0, 30, (60, 2))
    boxes = np.concatenate([low, low + rng.integers(40, 48, (60, 2))], 1)
    truth = truth_of([(0, *box) for box in boxes.tolist()], [(0, 1, 1, 9, 9)], [])

    def iou(a, b):
        wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = wide * high
        return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

    expected = {j for j in range(60) if any(iou(boxes[i], boxes[j]) >= SAME_IOU for i in range(j))}
    assert {each.box for each in suspicious_boxes(truth, 1)["doubled"]} == expected and 3 < len(expected) < 60


def test_fitness_as_loops_count_it():
    rng = np.random.default_rng(2)
    pictures = []
    for _ in range(12):
        low = rng.integers(0, 300, (9, 2))
        pictures.append([(0, *corner, *(corner + rng.integers(8, 120, 2))) for corner in low.tolist()])
    truth = truth_of(*pictures)
    found = fitness(truth, 416)
    anchors = np.array(found.priors_cells) * 32 / 416
    seen, cells, small = set(), [], 0
    for number, picture in enumerate(pictures):
        for _, x0, y0, x1, y1 in picture:
            w, h = (x1 - x0) / 640, (y1 - y0) / 480
            small += min(w, h) * 416 < 16
            cell = (number, int((x0 + x1) / 2 / 640 * 13), int((y0 + y1) / 2 / 480 * 13))
            best = max(range(5), key=lambda k: shape_iou(np.array([w, h]), anchors[k]))
            cells.append(cell)
            seen.add((cell, best))
    assert found.at.small == pytest.approx(small / len(cells)) and 0 < found.at.small < 1
    assert found.at.shares_cell == pytest.approx(sum(cells.count(cell) > 1 for cell in cells) / len(cells))
    assert found.at.lost == pytest.approx(1 - len(seen) / len(cells)) and found.at.lost > 0
    assert found.average_iou == pytest.approx(found.iou_by_k[5]) and found.boxes == found.looked_at == len(cells)
    assert found.proposed.size % 64 == 32 and found.steps == 6000
    assert fitness(truth_of([], []), 416) is None


def test_priors_that_are_nearly_one():
    """Boxes of one shape need one prior, those of two need two; of small ones a size is proposed that shows them."""
    one = fitness(truth_of(*usual(40)), 416)
    assert one.worth == one.different == 1 and one.iou_by_k[1] > 0.9 and "1 would do" in "\n".join(one.lines())
    two = fitness(truth_of(*usual(40), *[[(0, 10, 10, 400 + n, 60)] for n in range(40)]), 416)
    assert two.worth == two.different == 2
    small = fitness(truth_of(*usual(40, side=20)), 416)
    assert small.at.small == 1.0 and small.enough and small.proposed.size == 544 and small.proposed.small == 0.0
    tiny = fitness(truth_of(*usual(40, side=8)), 416)
    assert not tiny.enough and "cut the pictures into parts" in "\n".join(tiny.lines())


@pytest.mark.parametrize("size, side", [((224, 224), 40), ((1024, 768), 20), ((1024, 768), 32), ((97, 53), 7.3)])
def test_boxes_of_one_size_are_one_shape(size, side):
    """Wherever they lie, though the fractions that their corners are at differ in the last bit."""
    corners = np.random.default_rng(1).uniform(0, min(size) - side, (60, 2)).round(1 if side % 1 else 0).tolist()
    found = fitness(truth_of(*[[(0, x, y, x + side, y + side)] for x, y in corners], size=size), 416)
    assert list(found.iou_by_k) == [1] and found.average_iou == pytest.approx(1)
    thin = fitness(truth_of([(0, 1, 1, 1.001, 9)], [(0, 5, 5, 5.0005, 90)], size=(9000, 9000)), 416)
    assert thin.boxes == 2, "too narrow to see, and no reason to end"


def test_boxes_are_lost_by_the_priors_of_the_network():
    """Two boxes of a cell, one wide and one high: one prior learns one of them, two both."""
    truth = truth_of(*[[(0, 100, 110, 200, 130), (0, 140, 70, 160, 170)]] * 4)
    one, two = (fitness(truth, 416, anchors_cells=anchors) for anchors in ([(2, 2)], [(2, 0.5), (0.5, 3)]))
    assert one.at.lost == 0.5 and two.at.lost == 0 and "k-means" not in one.short()[0]
    assert "its prior too (with 2 priors by k-means)" in fitness(truth, 416).short()[0]


def test_length_by_classes_pictures_and_passes():
    each = [[(label, 10, 10, 90, 90)] for label in range(10)]
    assert fitness(truth_of(*each * 100), 416).steps == 1000 * 1000 / 64  # 1000 passes are fewer than 2000 a class
    assert fitness(truth_of(*each * 200), 416).steps == 2000 * 10
    assert fitness(truth_of(*usual(10_000)), 416).steps == 160 * 10_000 / 64
    few = fitness(truth_of(*each[:4]), 416)
    assert "proposed steps 6000 of 64 pictures, 96000 epochs" in (lines := "\n".join(few.lines()))
    assert "however few pictures, 6000 steps at least" in lines and "1000 epochs at most" not in lines


def photograph(seed, side=300):
    """Blobs of light, as of no other seed."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 255, (6, 7, 3), np.uint8))
    return np.asarray(rough.resize((side + 20, side), Image.Resampling.BICUBIC))


def test_pictures_that_look_alike(tmp_path):
    first = photograph(1)
    small = np.asarray(Image.fromarray(first).resize((150, 140)))
    light = np.clip(first * 0.8 + 40, 0, 255).astype(np.uint8)
    Image.fromarray(first).save(tmp_path / "a.jpg", quality=30)
    saved = np.asarray(Image.open(tmp_path / "a.jpg"))
    moved = first.copy()
    moved[100:160, 100:160] = 255 - moved[100:160, 100:160] // 2
    blank = np.full_like(first, 200)
    others = [photograph(seed) for seed in range(2, 14)]
    pictures = [first, *others, small, light, saved, first[:, ::-1], moved, blank, blank]
    found = alike(np.array(list(map(thumbnail, pictures))))
    assert [(each.other, each.mirrored) for each in found] == [(13, False), (14, False), (15, False), (16, True)]
    assert found[0].first == 0 and {each.first for each in found} <= {0, 13, 14, 15}


def test_likeliest_are_those_of_a_full_sort():
    """Also among equals, of which the first come first."""
    rng = np.random.default_rng(3)
    for length in (1, 7, 8, 9, 200):
        values = rng.integers(0, 9, length).astype(np.float32)
        assert likeness._largest(values, 8).tolist() == np.argsort(-values, kind="stable")[:8].tolist()


def test_thumbnails_are_made_of_those_that_are_compared(monkeypatch):
    made = []
    monkeypatch.setattr(data_check, "thumbnail", lambda image: made.append(image) or thumbnail(image))
    monkeypatch.setattr(data_check, "MOST_COMPARED", 3)
    report = data_check.check(Dataset("a", "", ("cat",), [record(n, [], [0]) for n in range(9)]))
    assert len(made) == 3 and report.thumbnails.places.tolist() == [0, 3, 6] and report.broken == ()


def test_names_nearly_alike():
    counts = {"bishop": 1, "black-bishop": 97, "white-bishop": 125, "tomata": 5, "tomato": 9, "dog": 50, "dogs": 4}
    counts |= {"boat": 5, "boot": 5, "zone 10": 3, "zone 11": 3, "white king": 4, "white knight": 5, "bear": 9}
    counts |= {"teddy bear": 9, "bicycle": 4, "bicylce": 1, "Cat": 4, "cat": 5}
    pairs = [each.classes for each in near_names(counts)]
    assert pairs == [
        ("tomata", "tomato"),
        ("dog", "dogs"),
        ("bicycle", "bicylce"),
        ("bishop", "black-bishop", "white-bishop"),
    ]
    assert rare_classes({"a": 19, "b": 20, "c": 0, "d": 2}) == {"d": 2, "a": 19}
    assert balance({"a": 30, "b": 10, "c": 0}) == "a is there 3.0 times as often as b (30 to 10)"
    assert balance({"a": 30, "b": 0}) is None and near_names({}) == []


def test_spread():
    assert spread(range(10), 4).tolist() == [0, 2, 5, 7] and spread([3, 1], 4).tolist() == [3, 1]


def test_the_verb_finds_it_all(tmp_path, run):
    """Files on the disk; the page has a picture for what it names, and nothing that a label says can run in it."""
    label = "<script>alert(1)</script>"
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        rows = {"images": [], "annotations": [], "categories": [{"id": 1, "name": label}]}
        for number in range(3):
            # The first of val is that of train, saved with another quality.
            picture = Image.fromarray(photograph(30 + number + 3 * (split == "val" and number > 0)))
            picture.save(tmp_path / split / f"{number}.jpg", quality=80 if split == "val" else 95)
            rows["images"].append({"id": number, "file_name": f"{number}.jpg"})
            box = [280, 20, 60, 50] if number == 2 else [10, 20, 100, 90]
            rows["annotations"].append({"id": number, "image_id": number, "category_id": 1, "bbox": box})
        (tmp_path / f"{split}.json").write_text(json.dumps(rows))
    source = f"coco:{tmp_path}/{{split}}.json,{tmp_path}/{{split}}"
    files = "--json", tmp_path / "check.json", "--report", tmp_path / "page"
    status, output, error = run("check", "--dataset", source, "--size", 544, *files)
    assert (status, error) == (0, "")
    leak = f"{tmp_path}/train/0.jpg and {tmp_path}/val/0.jpg"
    assert (
        f"1 picture looks like one of another split: judged on these a network seems better than it is (first: {leak};"
        in output
    )
    assert "boxes to look at: 1 outside" in output and "boxes at 544x544" in output
    assert output.count("proposed image_size") == 1, "val has no say in it"
    found = json.loads((tmp_path / "check.json").read_text())
    outside = found["splits"][0]["suspects"]["outside"]
    assert outside["count"] == 1 and outside["boxes"][0]["box_xyxy"] == [280, 20, 320, 70]
    assert found["splits"][0]["fitness"]["at"]["size"] == 544 and found["splits"][0]["classes"][label]["boxes"] == 3
    assert found["alike_count"] == 1 and [each["other"] for each in found["alike"]] == [f"{tmp_path}/val/0.jpg"]
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 + 2 + 2 and label not in page and "&lt;script&gt;alert" in page
    assert run("check", "--dataset", source, *files)[0] == 0, "both take the place of an earlier result"


def test_what_a_training_is_told(tmp_path):
    """From the labels alone: not a picture is decoded. Nothing of a set that is drawn."""
    records = [record(number, [[8, 6, 12, 30]], [1]) for number in range(4)]
    trained, judged = (
        Dataset("a", split, ("cat", "dog"), records[:count]) for split, count in (("train", 4), ("val", 0))
    )
    lines = in_short(trained, judged, 416)
    assert lines[0] == "classes with fewer than 20, of which little can be learnt or measured (1): dog 4"
    assert lines[1].startswith("boxes at 416x416: median ") and lines[-1] == (
        "val has no picture of dog: of these nothing is measured"
    )
    assert len(lines) <= 5 and in_short(Dataset("a", "b", ("cat", "dog"), records, rendered=True), judged, 416) == []


def test_a_lazy_set_is_not_read_before_training():
    records = [record(0, [[8, 6, 12, 30]], [1])]

    class Far:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            raise AssertionError("fetched")

    far, near = Dataset("a", "far", ("cat", "dog"), Far(), lazy=True), Dataset("a", "near", ("cat", "dog"), records)
    assert in_short(far, near, 416) == in_short(far, far, 416) == []
    assert in_short(near, far, 416)


def alike_in(pictures, splits):
    """(first splits, other splits, leaks) of the pairs among these pictures, each in the splits named."""
    records = [replace(record(n, [[1, 1, 9, 9]], [0]), height=300, width=320) for n in range(len(pictures))]
    whole = Dataset("a", "", ("cat",), records)
    report = replace(count(whole), thumbnails=Thumbnails.of(range(len(pictures)), list(map(thumbnail, pictures))))
    parts = {name: whole.take(places) for name, places in splits.items()}
    pairs, _ = alike_pictures([Survey(whole, report, {}, None, {}, [])], parts)
    return [(each.first_splits, each.other_splits, each.leaks) for each in pairs], alike_lines(pairs, "")


def test_what_is_a_leak_between_splits():
    two, one = [photograph(1)] * 2, ("train",)
    assert alike_in(two, {"train": [0], "val": [1], "trainval": [0, 1]})[0] == [(one, ("val",), True)]
    assert alike_in(two, {"train": [0], "mine": [1]})[0] == [(one, ("mine",), True)]
    found, (line,) = alike_in(two, {"train": [0]})
    assert found == [(one, (), False)] and "in no split" in line
    assert alike_in(two, {})[0] == [(("all",), ("all",), False)]


def test_sheets_of_classes(monkeypatch):
    """A picture is on the sheet of a class once; without boxes there is no column of them."""
    boxes, seen = [[1, 1, 5, 5], [2, 2, 8, 8], [3, 3, 9, 9]], []
    monkeypatch.setattr(report_check, "_of_class", lambda each, label: seen.append(each.name))
    for records in (
        [record(0, boxes, [0, 0, 0]), record(1, boxes, [0, 0, 1])],
        [record(0, [], [0]), record(1, [], [0])],
    ):
        seen.clear()
        dataset = Dataset("a", "", ("cat", "dog"), records)
        parts = report_check._sheets(Survey(dataset, count(dataset), {}, None, {}, []))
        assert seen[:2] == [each.name for each in records]
        assert ("boxes" in str(parts[0])) == bool(count(dataset).boxes)


def test_places_that_cannot_be_written(tmp_path, refused):
    (tmp_path / "file").write_text("")
    message = refused("check", "--dataset", "emoji", "--report", tmp_path / "file" / "page")
    assert "--report" in message and "cannot be written; name a folder of yours" in message
    assert "/proc/x: cannot be written" in refused("check", "--dataset", "emoji", "--report", "/proc/x")
    assert "holds other files, and no page of ours" in refused("check", "--dataset", "emoji", "--report", tmp_path)
    assert "must be a multiple of 32" in refused("check", "--dataset", "emoji", "--size", 100)
