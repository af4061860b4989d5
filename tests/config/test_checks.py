"""What a config may hold: ranges of single keys, keys that nothing looks at, keys that must agree; lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.refusal import refusal
from yolo9000_jax import config as configs

TUPLES = ("multi_scale", "profile_steps", "model.anchors_cells", "optimizer.boundaries", "optimizer.factors")
NUMBERS = {
    key: value
    for key, value in configs.flat(configs.detection()).items()
    if type(value) in (int, float) or key in TUPLES
}


def of(task="detection", **values):
    """A complete config of 5 steps; `model__width` is the key model.width."""
    recipe = configs.classification if task == "classification" else configs.detection
    values = {"steps": 5, "task": task} | values
    return configs.override(recipe(), {key.replace("__", "."): str(value) for key, value in values.items()})


def test_tables_name_keys_that_exist():
    names = set(configs.flat(configs.detection()))
    groups = {name.partition(".")[0] for name in names}
    assert {*configs.FREE_ON_RESUME, *configs.SOURCES, *configs.CHOICES, *configs.RANGES} <= names
    assert {key for rule in configs.UNUSED for key in rule.keys} <= names | groups
    assert all(rule.here(of()) in (True, False) for rule in configs.UNUSED)


def test_every_number_has_a_range():
    assert set(NUMBERS) == set(configs.RANGES)


def far_outside():
    """(key, a number that nothing can be)"""
    for key, value in NUMBERS.items():
        yield key, -(10**9)
        if type(value) is not int and key not in ("multi_scale", "profile_steps"):
            yield key, float("inf")
            yield key, float("nan")


@pytest.mark.parametrize("key, number", far_outside())
def test_numbers_far_outside(key, number):
    value = ((1.0, number),) if key == "model.anchors_cells" else (number,) if key in TUPLES else number
    for name in reversed(key.split(".")):
        value = {name: value}
    assert f"config: {key} is " in refusal(configs.complete, value)


@pytest.mark.parametrize(
    "key, inside, outside",
    [
        ("augment.flip", ("0", "1", ".5"), ("-0.01", "1.01", "7")),
        ("augment.jitter", ("0", ".49"), ("-.1", ".5")),
        ("augment.angle", ("0", "180"), ("-1", "181")),
        ("optimizer.momentum", ("0", ".99"), ("-.1", "1", "5")),
        ("optimizer.average_decay", ("0", ".999"), ("1",)),
        ("optimizer.boundaries", ("()", "(0, 1)", "(.3,)"), ("(0.5, 1.5)", "(-1, .5)")),
        ("model.width", (".001", "2"), ("0", "-1")),
        ("model.anchors_cells", ("()", "((1, 2),)"), ("((1, 0),)", "((1, 1), (-1, 1))")),
        ("image_size", ("32", "608"), ("0", "31", "100", "8192")),
        ("evaluation.image_size", ("0", "544"), ("16", "-32")),
        ("multi_scale", ("()", "(32, 64)"), ("(32, 33)", "(0,)")),
        ("profile_steps", ("()", "(1, 1)"), ("(0, 5)",)),
        ("seed", ("0", "2147483647"), ("-1", "2147483648")),
        ("evaluation.nms_threshold", ("0", "1"), ("-1", "1.1")),
        ("classification.ratio", (".1", "9"), ("0", "-4")),
        ("epochs", ("0", "0.5"), ("-1",)),
        ("loss.ignore_threshold", ("0", "1"), ("1.5",)),
    ],
)
def test_ranges(key, inside, outside):
    for text in inside:
        configs.override(configs.detection(), {key: text})
    for text in outside:
        message = refusal(configs.override, configs.detection(), {key: text})
        assert message.startswith(f"--config: {key} is ") and "; it must be " in message


# Lengths.


@pytest.mark.parametrize("lengths", [{"steps": 5}, {"epochs": 0.5}, {"minutes": 0.1}])
def test_one_length(lengths):
    configs.check(configs.complete({"steps": 0} | lengths))


def test_two_lengths_or_none():
    message = refusal(configs.check, configs.complete({"steps": 5, "epochs": 160}), "a.py")
    assert message == "a.py: steps is 5 and epochs is 160, but a run has one length: set the others to 0"
    inner = {"steps": 3, "pretraining": {"task": "classification", "augment": {"geometry": "crop"}}}
    assert "pretraining.steps, epochs and minutes are all 0" in refusal(configs.check, configs.complete(inner))


@given(
    epochs=st.integers(1, 400), tenths=st.integers(0, 9), pictures=st.integers(1, 2_000_000), batch=st.integers(1, 4096)
)
def test_steps_of_epochs(epochs, tenths, pictures, batch):
    """As many whole batches as fit into so many passes, counted in whole numbers; at least one."""
    config = configs.detection()
    config.epochs, config.batch_size = float(f"{epochs}.{tenths}"), batch
    assert configs.steps_of(config, pictures) == max(1, (10 * epochs + tenths) * pictures // (10 * batch))


def test_steps_of():
    config = configs.load("voc")
    assert configs.steps_of(config, 16_551) == 41_377
    assert configs.steps_of(configs.load("voc", {"batch_size": "512"}), 16_551) == 5172
    assert configs.steps_of(configs.load("voc:darknet"), 1) == 80_200
    with pytest.raises(ValueError):
        configs.steps_of(configs.load("voc", {"minutes": "5"}), 16_551)


def test_learning_rate_scaling():
    config = configs.load("voc", {"batch_size": "512"})
    assert configs.learning_rate_of(config) == 1e-3
    config.optimizer.learning_rate_scaling = "linear"
    assert configs.learning_rate_of(config) == 8e-3


@pytest.mark.parametrize("name", configs.shipped())
def test_shipped_learning_rates_are_meant_for_their_batch_sizes(name):
    for _, stage in configs.stages(configs.load(name)):
        assert stage.optimizer.reference_batch_size == stage.batch_size


# Keys that nothing looks at.

V1_DIRECT = {"model__architecture": "yolo_v1", "model__head": "direct"}


@pytest.mark.parametrize(
    "values, key, hint",
    [
        ({"model__side": 5}, "model.side is 5", "leave it at 7, or choose model.architecture=yolo_v1"),
        ({"model__boxes_per_cell": 3}, "model.boxes_per_cell", "yolo_v1"),
        ({"model__head": "local"}, "model.head is 'local'", "leave it at 'connected'"),
        ({"model__dropout": 0}, "model.dropout", "yolo_v1"),
        ({"model__hidden": 9}, "model.hidden", "yolo_v1"),
        ({"yolo_v1_loss__class_scale": 2}, "yolo_v1_loss.class_scale is 2.0", "yolo_v1"),
        ({"model__architecture": "yolo_v1", "loss__class_scale": 2}, "loss.class_scale", "yolo_v2"),
        ({"model__architecture": "yolo_v1", "model__passthrough": "none"}, "model.passthrough", "yolo_v2"),
        ({"model__architecture": "yolo_v1", "model__anchors_cells": "((1, 1),)"}, "model.anchors_cells", "yolo_v2"),
        ({"model__architecture": "yolo_v1", "model__priors": "hand_picked"}, "model.priors", "yolo_v2"),
        ({"model__architecture": "yolo_v1", "model__head_convolutions": False}, "model.head_convolutions", "yolo_v2"),
        ({"task": "classification", "model__num_anchors": 3}, "model.num_anchors", "task=detection"),
        ({"task": "classification", "evaluation__resize": "letterbox"}, "evaluation.resize", "task=detection"),
        ({"task": "classification", "loss__rescore": False}, "loss.rescore", "task=detection"),
        ({"task": "classification", "augment__jitter": 0.3}, "augment.jitter", "augment.geometry=crop"),
        ({"task": "classification", "augment__flip_vertical": 0.5}, "augment.flip_vertical", "augment.angle=180"),
        ({"task": "classification", "model__logits": "leaky"}, "model.logits", "model.trunk=extraction"),
        ({"model__logits": "leaky"}, "model.logits", "task=classification"),
        ({"classification__source": "emoji"}, "classification.source is 'emoji'", "task=joint"),
        ({"loss__class_box": "darknet"}, "loss.class_box", "task=joint"),
        ({"evaluation__hierarchy_rule": "darknet"}, "evaluation.hierarchy_rule", "model.tree"),
        ({"augment__angle": 3}, "augment.angle is 3.0", "augment.geometry=rotate_crop"),
        ({"optimizer__power": 2}, "optimizer.power", "optimizer.schedule=polynomial"),
        ({"optimizer__schedule": "cosine", "optimizer__boundaries": "(.1, .2)"}, "optimizer.boundaries", "steps"),
        ({"model__anchors_cells": "((1, 1),)", "model__num_anchors": 3}, "model.num_anchors", "anchors_cells"),
        ({"model__priors": "hand_picked", "model__num_anchors": 3}, "model.num_anchors", "kmeans"),
        ({"model__use_batch_norm": False, "model__batch_norm": "cpu"}, "model.batch_norm is 'cpu'", "use_batch_norm"),
        ({"model__use_batch_norm": False, "model__batch_norm_momentum": 0.9}, "model.batch_norm_momentum", "=True"),
        ({"model__use_batch_norm": False, "model__sync_batch_norm": True}, "model.sync_batch_norm", "=True"),
        ({**V1_DIRECT, "model__hidden": 9}, "model.hidden is 9", "model.head=connected or local"),
        ({**V1_DIRECT, "model__dropout": 0}, "model.dropout is 0.0", "model.head=connected or local"),
        ({"optimizer__burn_in_power": 2}, "optimizer.burn_in_power is 2.0", "optimizer.burn_in: leave it at 4.0"),
        ({"multi_scale_every": 3}, "multi_scale_every is 3", "multi_scale: leave it at 10, or give its sizes"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_keys_that_are_not_used(values, key, hint):
    message = refusal(configs.check, of(**values), "--config")
    assert message.startswith(f"--config: {key}") and "is not used with" in message and hint in message


@pytest.mark.parametrize(
    "values",
    [
        {"model__architecture": "yolo_v1", "model__side": 5, "model__head": "local", "yolo_v1_loss__class_scale": 2},
        {"task": "joint", "model__tree": "emoji", "classification__source": "emoji", "loss__class_box": "darknet"},
        {"task": "classification", "model__trunk": "extraction", "model__logits": "leaky", "augment__angle": 3},
        {"task": "classification", "optimizer__power": 2},
        {"model__anchors_cells": "((1, 1), (2, 2))", "model__num_anchors": 2},
        {"model__batch_norm": "cpu", "model__batch_norm_momentum": 0.9, "model__sync_batch_norm": True},
        {"model__architecture": "yolo_v1", "model__head": "local", "model__hidden": 9, "model__dropout": 0},
        {"optimizer__burn_in": 5, "optimizer__burn_in_power": 2, "multi_scale": "(64, 96)", "multi_scale_every": 3},
    ],
)
def test_keys_that_are_used(values):
    configs.check(of(**values))


@pytest.mark.parametrize("recipe", [configs.from_scratch, configs.classifier_from_scratch])
def test_what_a_recipe_says_is_not_held_against_its_user(recipe):
    """It sets burn_in_power and batch_norm_momentum."""
    configs.check(configs.override(recipe(), {"steps": "5", "optimizer.burn_in": "0", "model.use_batch_norm": "False"}))


def test_unused_keys_of_pretraining_are_named_in_full():
    config = configs.load("voc")
    config.pretraining.pretraining.loss.class_scale = 2.0
    assert "pretraining.pretraining.loss.class_scale is 2.0" in refusal(configs.check, config)


# Keys that must agree.


@pytest.mark.parametrize(
    "values, parts",
    [
        ({"evaluation__metric": "top1"}, ["evaluation.metric is 'top1'", "voc_ap50, voc07_ap50, recall50"]),
        ({"evaluation__metric": "voc_ap50_unseen"}, ["evaluation.metric"]),
        ({"evaluation__metric": "ilsvrc_ap"}, ["evaluation.metric", "evaluation.iou_rule"]),
        ({"task": "classification", "evaluation__metric": "voc_ap50"}, ["top1, top5"]),
        ({"augment__geometry": "rotate_crop"}, ["'rotate_crop', which is for classifiers", "crop, place, none"]),
        ({"task": "classification", "augment__min_crop": 500}, ["min_crop is 500, more than max_crop, 448"]),
        ({"optimizer__factors": "(.1,)"}, ["optimizer.boundaries", "factors (0.1,)"]),
        ({"optimizer__boundaries": "(.5, .4)"}, ["rising order"]),
    ],
)
def test_keys_that_do_not_agree(values, parts):
    message = refusal(configs.check, of(**values))
    assert all(part in message for part in parts)


def test_metric():
    assert configs.metric_of(configs.load("voc")) == configs.metric_of(configs.load("ablation")) == "voc07_ap50"
    assert configs.metric_of(configs.load("coco")) == "coco_ap"
    assert configs.metric_of(configs.load("demo")) == "voc_ap50"
    assert configs.metric_of(configs.load("darknet19")) == "top1"
    assert configs.metric_of(configs.load("blood_cells")) == "last"
    assert configs.metric_of(configs.load("voc", {"evaluation.checkpoint": "last"})) == "last"
    configs.check(of("classification", evaluation__metric="top5"))
    configs.check(of(evaluation__metric="ilsvrc_ap", evaluation__iou_rule="ilsvrc"))


def test_where_a_run_starts():
    config = configs.load("voc")
    config.init_from = "darknet:a.weights"
    assert "pretraining=none" in refusal(configs.check, config)
    for key, value in (("width", 0.5), ("trunk", "extraction")):
        config = configs.load("voc")
        config.model[key] = value
        message = refusal(configs.check, config)
        assert f"pretraining.model.{key} is " in message and "would not fit" in message
    config = configs.load("voc")
    config.pretraining.pretraining.name = config.pretraining.name
    assert "both named 'darknet19_448'" in refusal(configs.check, config)
