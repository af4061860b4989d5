"""Results and rankings as sequences; what a detector with a tree says in both ways from one run of the network."""

import sys

import numpy as np
import pytest
from PIL import Image

from tests.predict.test_detector import ANCHOR, Fixed, detector, grid, picture
from yolo9000_jax.boxes.heads import RegionHead
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.resizing import Resize
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.predict.result import Ranking, Result
from yolo9000_jax.wordtree.tree import WordTree

BOXES = ((0.3, 0.3, 0.4, 0.4, 0.9, 1), (0.7, 0.7, 0.3, 0.3, 0.6, 0))


@pytest.fixture(scope="module")
def result():
    return detector(*BOXES)(picture(64, 64))


def test_a_result_is_a_sequence_of_detections(result):
    assert len(result) == 2 and [found.name for found in result] == ["dog", "cat"]
    first, last = result[0], result[-1]
    assert (first.label, first.name, last.label, last.name) == (1, "dog", 0, "cat")
    assert first.score == pytest.approx(0.9, abs=1e-5) and isinstance(first.score, float)
    assert first.box_xyxy == pytest.approx((6.4, 6.4, 32, 32), abs=1e-3)
    assert first.path is None and first.path_probabilities is None
    assert list(reversed(result)) == [last, first]
    with pytest.raises(IndexError):
        result[2]


def test_some_of_a_result(result):
    sure = result[result.scores > 0.7]
    assert sure.names == ("dog",) and sure.boxes_xyxy.shape == (1, 4) and sure.image is result.image
    assert result[1:].names == ("cat",) and len(result[:0]) == 0
    assert result[np.array([1, 0])].labels.tolist() == [0, 1]


def test_reprs_are_short(result):
    assert repr(result) == "<2 detections: dog 0.90, cat 0.60>"
    assert repr(result[:0]) == "<0 detections>"
    many = result[np.zeros(100, int)]
    assert repr(many) == "<100 detections: dog 0.90, dog 0.90, dog 0.90, dog 0.90, dog 0.90, … 95 more>"
    assert repr(detector(*BOXES)) == "<Detector Fixed, 2 classes, 64x64, letterbox>"


def test_saved_is_what_is_drawn(result, tmp_path):
    result.save(tmp_path / "found.png")
    saved = np.asarray(Image.open(tmp_path / "found.png"))
    np.testing.assert_array_equal(saved, result.draw())
    assert saved.shape == (320, 320, 3), "a small picture is enlarged"
    same_size = result.draw(same_size=True)
    assert same_size.shape == result.image.shape and (same_size != result.image).any()


@pytest.mark.parametrize("name", ["found.nothing", "taken/found.png"])
def test_where_it_cannot_be_saved_one_line_says_so(result, tmp_path, name):
    (tmp_path / "taken").write_text("a file, no folder")
    with pytest.raises(UserError) as raised:
        result.save(tmp_path / name)
    assert name in str(raised.value) and "\n" not in str(raised.value)


def test_crops_are_what_the_boxes_hold():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    boxes = np.float32([[10, 5, 30, 25], [-8, 30.5, 4.2, 60], [70, 50, 80, 60], [7, 7, 7, 7]])
    found = Result(image, boxes, np.full(4, 0.5, np.float32), np.zeros(4, int), ("a",))
    inside, over_the_edge, outside, empty = found.crop()
    np.testing.assert_array_equal(inside, image[5:25, 10:30])
    np.testing.assert_array_equal(over_the_edge, image[30:, :5])
    np.testing.assert_array_equal(outside, image[-1:, -1:])
    np.testing.assert_array_equal(empty, image[7:8, 7:8])
    np.testing.assert_array_equal(found.crop(margin=0.25)[0], image[0:30, 5:35])
    inside[:] = 0
    assert image[5:25, 10:30].any(), "a crop is a copy"
    assert found[:0].crop() == []


def test_as_a_table(result):
    pandas = pytest.importorskip("pandas")
    table = result.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table) == ["x0", "y0", "x1", "y1", "score", "label", "name"]
    np.testing.assert_array_equal(table[["x0", "y0", "x1", "y1"]].to_numpy(), result.boxes_xyxy)
    assert table.name.tolist() == ["dog", "cat"] and table.label.tolist() == [1, 0]
    assert table.score.tolist() == result.scores.tolist()
    assert len(result[:0].to_pandas()) == 0


def test_for_supervision(result):
    pytest.importorskip("supervision")
    found = result.to_supervision()
    np.testing.assert_array_equal(found.xyxy, result.boxes_xyxy)
    np.testing.assert_array_equal(found.confidence, result.scores)
    assert found.class_id.tolist() == [1, 0] and found.data["class_name"].tolist() == ["dog", "cat"]
    assert len(result[:0].to_supervision()) == 0


@pytest.mark.parametrize("package", ["pandas", "supervision"])
def test_a_package_that_is_not_there_is_named(result, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"^to_{package}: {package} is not installed: pip install {package}$"):
        getattr(result, f"to_{package}")()


def test_a_ranking_is_a_sequence_of_classes():
    ranking = Ranking(np.array([2, 0]), np.float32([0.75, 0.25]), ("a", "b", "c"))
    assert ranking.names == ("c", "a") and len(ranking) == 2
    label, name, score = ranking[0]
    assert (label, name, score) == (2, "c", 0.75) and [type(v) for v in ranking[0]] == [int, str, float]
    assert [ranked.name for ranked in ranking] == ["c", "a"] and ranking[1:].names == ("a",)
    top = [{"class": 2, "label": "c", "score": 0.75}, {"class": 0, "label": "a", "score": 0.25}]
    assert ranking.to_json() == {"top": top}
    assert repr(ranking) == "<c 0.750, a 0.250>"
    in_tree = Ranking(np.array([3]), np.float32([0.75]), TREE.names, TREE).to_json()
    assert in_tree == {"top": [{"class": 3, "label": "pug", "score": 0.75, "path": ["animal", "dog", "pug"]}]}


TREE = WordTree(("n1", "n2", "n3", "n4"), [-1, 0, 0, 1], ("animal", "dog", "cat", "pug"))


def tree_detector(brightness=0.0):
    """Two boxes, of objectness .8 and .6: a pug, and an animal that may be either."""
    raw = np.full((2, 2, 1, 9), -20.0)
    raw[0, 0, 0] = [0, 0, 0, 0, np.log(0.8 / 0.2), 0, np.log(9), 0, 5]
    raw[1, 1, 0] = [0, 0, 0, 0, np.log(0.6 / 0.4), 0, 0, 0, 5]
    cells = tuple(tuple(tuple(tuple(map(float, box)) for box in cell) for cell in row) for row in raw)
    return Detector(Fixed(cells, brightness), {}, TREE.names, RegionHead((ANCHOR,), tree=TREE), (64, 64))


def test_a_tree_gives_paths():
    found = tree_detector()(picture(64, 64), hierarchical_threshold=0.7)
    assert found.names == ("pug", "animal") and found.paths == (("animal", "dog", "pug"), ("animal",))
    assert found.path_probabilities[0] == pytest.approx((1, 0.9, 1)) and found.path_probabilities[1] == (1,)
    assert found[0].path == ("animal", "dog", "pug") and found[0].path_probabilities == found.path_probabilities[0]
    assert found.top_down is None


def test_limits_of_what_a_tree_may_say():
    """A subtree that must be surer, and labels that are possible: then a pug is a cat, for want of dogs."""
    detect, image = tree_detector(), picture(64, 64)
    found = detect(image, hierarchical_threshold={"dog": 0.95, "*": 0.2})
    assert found.names == ("animal", "animal")
    found = detect(image, hierarchical_threshold={"pug": 0.95, "*": 0.7})
    assert found.names == ("dog", "animal")
    found = detect(image, allow=["cat"])
    assert found.names == ("cat", "cat") and found.path_probabilities == ((1, 1), (1, 1))
    assert found.to_json()["detections"][0]["path"] == ["animal", "cat"]
    (both,) = detect.stream([image], nodes=["dog", "cat"], allow=["pug"], threshold=0.1)
    assert both.names == ("dog", "dog") and both.scores.tolist() == pytest.approx([0.8, 0.6])
    for limits, message in (({"allow": []}, "no label is left"), ({"hierarchical_threshold": {"eel": 1}}, "'eel'")):
        with pytest.raises(UserError, match=message):
            detect(image, **limits)


@pytest.mark.parametrize("nodes", [[1, 2], ["dog", "cat"], ["n2", 2], np.array([1, 2])])
def test_both_ways_from_one_run_of_the_network(nodes):
    """The scores of two nodes, and what the same pictures give going down the tree; each as by itself."""
    detect, pictures = tree_detector(3.0), [picture(64, 64, 20 * n) for n in range(5)]
    options = {"threshold": 0.1, "batch_size": 2, "hierarchical_threshold": 0.7}
    both = list(detect.stream(pictures, nodes=nodes, also_top_down=True, **options))
    of_nodes = list(detect.stream(pictures, nodes=nodes, **options))
    down = list(detect.stream(pictures, **options))
    assert [len(result) for result in both] != [len(result) for result in down]
    for result, alone, top_down in zip(both, of_nodes, down, strict=True):
        assert set(result.names) == {"dog", "cat"} and alone.top_down is None
        assert result.names == alone.names and result.top_down.names == top_down.names
        np.testing.assert_array_equal(result.scores, alone.scores)
        np.testing.assert_array_equal(result.top_down.scores, top_down.scores)
        np.testing.assert_array_equal(result.top_down.boxes_xyxy, top_down.boxes_xyxy)
        assert result.path_probabilities is None and result.top_down.path_probabilities == top_down.path_probabilities
    applied = []

    class Counted(Fixed):
        def __call__(self, images, train=False):
            applied.append(images.shape)
            return super().__call__(images, train)

    detect.model = Counted(detect.model.grid)
    list(detect.stream(pictures, nodes=nodes, also_top_down=True, **options))
    assert len(applied) == 1, "the compiled program holds the network once"


def test_unknown_nodes():
    with pytest.raises(UserError, match="no node is called 'horse'"):
        list(tree_detector().stream([], nodes=["horse"]))


def test_outputs_of_a_classifier():
    """Any function of the logits, a row a picture; an equal function is not compiled again."""
    traced = []

    class Largest:
        def __eq__(self, other):
            return isinstance(other, Largest)

        def __hash__(self):
            return 1

        def __call__(self, logits):
            traced.append(logits.shape)
            return {"best": logits.argmax(-1), "logits": logits}

    classifier = Classifier(Fixed(grid(*BOXES)), {}, range(28), (64, 64), "stretch")
    for _ in range(2):
        found = list(classifier.outputs((picture(9, 9, n) for n in range(5)), Largest(), batch_size=2))
        assert len(found) == 5 and all(row["logits"].shape == (28,) for row in found)
        assert all(row["best"] == row["logits"].argmax() for row in found)
    assert traced == [(2, 28)]


def test_sampling_is_checked():
    with pytest.raises(UserError, match="sampling 'nearest': choose darknet or half_pixel"):
        Detector(Fixed(grid()), {}, ("cat", "dog"), RegionHead((ANCHOR,)), (64, 64), sampling="nearest")
    detect, pixels = detector(), np.random.default_rng(1).integers(0, 256, (40, 100, 3), np.uint8)
    assert detect.sampling == "darknet"
    for way in ("stretch", "letterbox"):
        for sampling in ("half_pixel", "darknet"):
            detect.resize, detect.sampling = way, sampling
            inputs = detect.to_inputs([pixels, pixels])
            assert inputs.shape == (2, 64, 64, 3) and inputs.dtype == np.float32
            np.testing.assert_array_equal(inputs[1], Resize(way, sampling).apply(pixels, 64, 64))
