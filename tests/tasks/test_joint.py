"""Joint training through the very code that users run: pre-training, mixed batches, a tree, evaluation, prediction."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from tests import tiny
from yolo9000_jax import cli
from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.predict.loading import load
from yolo9000_jax.report.batch import draw_batch
from yolo9000_jax.tasks import make_task
from yolo9000_jax.training.loop import train
from yolo9000_jax.wordtree.tree import WordTree

TREE = (("shape", -1), ("disc", 0), ("rectangle", 0), ("crimson disc", 1), ("pink disc", 1))


def make_tree(folder: Path) -> str:
    (folder / "shapes.tree").write_text("".join(f"{name.replace(' ', '_')} {parent}\n" for name, parent in TREE))
    (folder / "shapes.names").write_text("".join(f"{name}\n" for name, _ in TREE))
    return str(folder / "shapes.tree")


def make_folders(folder: Path, classes=("crimson disc", "pink disc"), pictures=3) -> str:
    rng = np.random.default_rng(3)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(pictures):
            noise = rng.integers(90, 160, (64, 64, 3), np.uint8)
            Image.fromarray(noise).save(folder / name / f"{number}.jpg")
    return f"folders:{folder}"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint")
    c = tiny.tiny_config(tiny.make_voc(folder / "voc"))
    c.task = "joint"
    c.multi_scale, c.multi_scale_every = (), 10
    c.steps = 2
    c.model.tree = make_tree(folder)
    c.classification.source = make_folders(folder / "labelled")
    first = configs.classification()
    first.name, first.steps, first.batch_size, first.image_size = "first", 2, 8, 64
    first.model.width = c.model.width
    first.model.tree = c.model.tree
    first.data.source = first.evaluation.source = c.classification.source
    first.evaluation.split, first.evaluation.may_share_pictures = "all", True
    c.pretraining = first
    return c


@pytest.fixture(scope="module")
def workdir(config, tmp_path_factory):
    place = tmp_path_factory.mktemp("run") / "joint"
    train(config, place)
    return place


def settled(config, **values):
    changed = config.copy_and_resolve_references()
    with changed.unlocked():
        changed.pretraining = {}
    for key, value in values.items():
        group, _, name = key.partition("__")
        changed[group][name] = value
    return changed


def refused(config, **values) -> str:
    with pytest.raises(UserError) as caught:
        make_task(configs.complete(settled(config, **values)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_chain_leaves_both_workdirs(workdir):
    assert (workdir / "pretraining/first/report/index.html").is_file()
    assert (workdir / "report/index.html").is_file()
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["loss"]) and row["loss_class"] > 0 for row in rows if "loss" in row)


def test_the_detector_starts_from_the_classifiers_trunk(config, tmp_path, said):
    c = config.copy_and_resolve_references()
    c.steps = 1
    train(c, tmp_path / "a", stages=tmp_path / "stages")
    lines = "\n".join(said)
    assert "pre-training first" in lines and "stages/first: 90 of 112 arrays" in lines
    said.clear()
    c.seed = 5
    train(c, tmp_path / "b", stages=tmp_path / "stages")
    assert any("pre-training first is in" in line for line in said)


def test_a_stage_of_other_settings_is_refused_and_kept(config, workdir, tmp_path):
    c = config.copy_and_resolve_references()
    c.pretraining.optimizer.learning_rate = 0.5
    before = (workdir / "pretraining/first/config.json").read_bytes()
    with pytest.raises(
        UserError, match="pretraining/first holds a run with another config .*learning_rate: 0.1 -> 0.5"
    ):
        train(c, tmp_path / "other", stages=workdir / "pretraining")
    assert (workdir / "pretraining/first/config.json").read_bytes() == before
    assert not (tmp_path / "other").exists()


def test_the_workdir_is_complete_without_the_tree_files(workdir, config, tmp_path):
    detector = load(workdir)
    assert detector.tree.names == detector.classes == tuple(name for name, _ in TREE)
    result = detector(np.zeros((64, 64, 3), np.uint8), threshold=0.0, hierarchical_threshold=0.0)
    for name, path in zip(result.names, result.paths, strict=True):
        assert path[0] == "shape" and path[-1] == name


def test_cli_speaks_trees(workdir, config, tmp_path, capsys):
    picture = config.data.source.removeprefix("voc:") + "/JPEGImages/0.jpg"
    where = str(tmp_path / "out.json")
    arguments = ["--workdir", str(workdir), "--threshold", "0", "--json", str(tmp_path / "found.json")]
    assert cli.main(["predict", picture, *arguments, "--hierarchical-threshold", "0"]) == 0
    (item,) = json.loads((tmp_path / "found.json").read_text())
    assert {d["path"][0] for d in item["detections"]} == {"shape"}
    limits = ["--allow", "rectangle,pink disc", "--hierarchical-threshold", "0", "--hierarchical-threshold", "disc=1"]
    assert cli.main(["predict", picture, *arguments, *limits]) == 0
    (item,) = json.loads((tmp_path / "found.json").read_text())
    assert {tuple(d["path"]) for d in item["detections"]} <= {("shape",), ("shape", "rectangle")}
    for wrong, message in (
        (["--hierarchical-threshold", "sphere=.5"], "sphere"),
        (["--allow", ","], "no label is left"),
    ):
        assert cli.main(["predict", picture, *arguments, *wrong]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("yolo9000: ") and message in error
    assert cli.main(["evaluate", "--workdir", str(workdir), "--split", "val", "--json", where]) == 0
    metrics = json.loads(Path(where).read_text())
    assert metrics["seen_classes"] == ["disc", "rectangle"] and metrics["unseen_classes"] == []
    assert cli.main(["evaluate", "--workdir", str(workdir / "pretraining/first"), "--json", where]) == 0
    assert set(json.loads(Path(where).read_text())["per_class"]) == {"crimson disc", "pink disc"}


def test_labels_of_both_sets_reach_their_nodes(config, said):
    task = make_task(configs.complete(settled(config)))
    assert not any("never named more finely" in line for line in said), "a disc has finer labels, a rectangle is a leaf"
    task._say_what_stays_coarse(WordTree(tuple(f"n{node}" for node in range(6)), np.array([-1, 0, 0, 1, 1, 2])))
    assert "1 of the 2 classes with boxes have classes below them" in said[-1] and said[-1].endswith(": rectangle")
    assert task.nodes.tolist() == [1, 2]  # disc, rectangle
    batch = next(task.batches(0, 1))
    nodes = np.asarray(task.image_labels(batch))
    classes = np.array([-1, 3, 4])  # crimson disc, pink disc
    np.testing.assert_array_equal(nodes, classes[batch["image_labels"] + 1])
    assert (nodes >= 0).any() and (nodes < 0).any()
    shown = task.preview(batch)
    assert {picture.caption for picture in shown} <= {"boxes", "a label only: crimson disc", "a label only: pink disc"}
    assert draw_batch(shown).ndim == 3


def test_an_epoch_is_a_pass_over_the_pictures_with_boxes(config):
    task = make_task(configs.complete(settled(config)))
    batches = configs.steps_of(configs.override(task.config, {"epochs": "3"}), task.pictures)
    boxed = sum((batch["image_labels"] < 0).sum() for batch in task.batches(0, batches))
    assert abs(boxed - 3 * len(task.dataset)) <= task.config.batch_size


def test_a_flat_control_has_one_softmax(config):
    task = make_task(configs.complete(settled(config, model__tree="flat")))
    assert task.network.tree.names == ("disc", "rectangle", "crimson disc", "pink disc")
    assert (task.network.tree.parents == -1).all()
    assert jax.eval_shape(lambda: task.init(0))["params"]["boxes"]["bias"].shape == (2 * (5 + 4),)


def test_some_classes_of_the_labelled_pictures(config):
    task = make_task(configs.complete(settled(config, classification__classes=("pink disc",))))
    whole = make_task(configs.complete(settled(config)))
    assert len(task.labelled_set) == len(whole.labelled_set) // 2 and task.labelled_set.classes == ("pink disc",)
    assert set(np.asarray(task.image_labels(next(task.batches(0, 1)))).tolist()) == {-1, 4}


@pytest.mark.parametrize(
    "values, words",
    [
        ({"model__tree": ""}, "model.tree is empty"),
        ({"classification__source": ""}, "classification.source is empty"),
        ({"classification__classes": ("crimson disc", "pink disk")}, "class 'pink disk' is not among the 2 classes"),
        ({"model__tree": "nowhere.tree"}, "nowhere.tree"),
    ],
)
def test_wrong_configs(config, values, words):
    assert words in refused(config, **values)


def test_a_class_without_pictures(config, tmp_path):
    source = make_folders(tmp_path / "more", pictures=1)
    classes = ("crimson disc", "pink disc", "rectangle")
    assert "no picture of 'rectangle'" in refused(
        config, classification__source=source, classification__classes=classes
    )


def test_classes_that_the_tree_lacks(config, tmp_path):
    source = make_folders(tmp_path / "more", ("crimson disc", "hexagon"))
    message = refused(config, classification__source=source)
    assert "lacks 1 of the 2 classes" in message and "'hexagon'" in message and "wordtree build" in message


def test_init_from_and_pretraining_exclude_each_other(config, tmp_path):
    c = config.copy_and_resolve_references()
    c.init_from = "somewhere"
    with pytest.raises(UserError, match="pretraining=none"):
        train(c, tmp_path / "run")
