"""What a change from the command line reaches: lengths, pre-training, data and classes that belong together."""

import pytest

from tests.config.refusal import refusal
from yolo9000_jax import config as configs


def load(name, **values):
    """An experiment with changes; `model__width` is the key model.width."""
    return configs.load(name, {key.replace("__", "."): str(value) for key, value in values.items()})


def lengths(config):
    return config.steps, config.epochs, config.minutes


# Lengths.


def test_a_length_takes_the_place_of_the_others():
    assert lengths(load("voc")) == (0, 160, 0)
    assert lengths(load("voc", steps=7)) == (7, 0, 0)
    assert lengths(load("voc:darknet", epochs=2)) == (0, 2, 0)
    assert lengths(load("my_data", minutes=2.5)) == (0, 0, 2.5)
    config = load("voc", pretraining__steps=7)
    assert lengths(config) == (0, 160, 0) and lengths(config.pretraining) == (7, 0, 0)
    assert lengths(config.pretraining.pretraining) == (0, 160, 0)


def test_two_lengths():
    message = refusal(configs.load, "voc", {"steps": "5", "epochs": "3"})
    assert message.startswith("--config: steps is 5 and epochs is 3")
    assert lengths(load("voc", steps=5, epochs=0)) == (5, 0, 0)
    assert "are all 0" in refusal(configs.load, "voc", {"epochs": "0"})


def test_another_batch_size_keeps_the_epochs():
    config = load("voc", batch_size=512)
    assert lengths(config) == (0, 160, 0)


# Pre-training.


def test_pretraining_is_emptied():
    config = load("voc", pretraining="none", init_from="darknet:F.weights")
    assert not config.pretraining and config.init_from == "darknet:F.weights"
    config = load("voc", pretraining__pretraining="None")
    assert config.pretraining.name == "darknet19_448" and not config.pretraining.pretraining
    assert "pretraining=none" in refusal(configs.load, "voc", {"init_from": "darknet:F.weights"})


def test_pretraining_is_replaced(tmp_path):
    assert load("voc", pretraining="darknet19:224").pretraining == configs.load("darknet19:224")
    assert load("my_data", pretraining="darknet19", model__width=1.0).pretraining == configs.load("darknet19")
    file = tmp_path / "mine.py"
    file.write_text(
        "from yolo9000_jax import config\n"
        "def get_config(row='long'):\n"
        "    c = config.classification()\n"
        "    c.steps = {'short': 3, 'long': 30}[row]\n"
        "    return c\n"
    )
    assert load("voc", pretraining=file).pretraining.steps == 30
    assert load("voc", pretraining=f"{file}:short").pretraining.steps == 3
    # Other changes are of the new one, wherever they stand.
    config = load("voc", pretraining__seed=4, pretraining=f"{file}:short", pretraining__pretraining="darknet19:224")
    assert (config.pretraining.seed, config.pretraining.pretraining.name) == (4, "darknet19_224")


@pytest.mark.parametrize(
    "values, parts",
    [
        ({"pretraining": "darknet20"}, ["pretraining: darknet20: no experiment", "did you mean darknet19?", "none"]),
        ({"pretraining": "darknet19:22"}, ["there is no row '22'"]),
        ({"pretraining": "nowhere.py"}, ["pretraining: nowhere.py: no such config file"]),
        ({"pretraining": "none", "pretraining.steps": "3"}, ["pretraining.steps: there is no pretraining"]),
        ({"pretraining": "none", "pretraining.pretraining": "none"}, ["there is no pretraining:"]),
        ({"pretraining": "demo"}, ["pretraining.model.width is 0.25 and model.width 1.0"]),
    ],
)
def test_pretraining_that_cannot_be(values, parts):
    message = refusal(configs.load, "voc", values)
    assert message.startswith("--config: ") and all(part in message for part in parts), message


@pytest.mark.parametrize("key, value", [("model.width", 0.5), ("model.compute_dtype", "bfloat16")])
def test_what_reaches_the_pretraining(key, value):
    group, name = key.split(".")
    stages = [stage for _, stage in configs.stages(configs.load("voc", {key: str(value)}))]
    assert [stage[group][name] for stage in stages] == [value] * 3
    inner = configs.load("voc", {f"pretraining.{key}": str(value)} | ({key: str(value)} if name == "width" else {}))
    assert inner.pretraining.pretraining[group][name] == value


def test_what_is_overridden_itself_stays():
    values = {"model.compute_dtype": "bfloat16", "pretraining.model.compute_dtype": "float32"}
    stages = [stage for _, stage in configs.stages(configs.load("voc", values))]
    assert [stage.model.compute_dtype for stage in stages] == ["bfloat16", "float32", "bfloat16"]


def test_trees_reach_the_pretraining_that_has_the_same():
    assert load("yolo9000", model__tree="a.tree").pretraining.model.tree == "a.tree"
    assert load("yolo9000_emoji:flat", model__tree="a.tree").pretraining.model.tree == "emoji"
    assert load("darknet19", model__tree="a.tree").pretraining.model.tree == ""  # which had none


# Data.


def sources(config) -> list[tuple[str, str, str]]:
    return [
        (stage.data.source, stage.classification.source, stage.evaluation.source) for _, stage in configs.stages(config)
    ]


@pytest.mark.parametrize(
    "name, values, expected",
    [
        ("my_data", {"data.source": "A"}, [("A", "", "")]),
        ("blood_cells", {"data.source": "A"}, [("A", "", "")]),
        ("coco", {"data.source": "A"}, [("A", "", "A"), ("tfds:imagenet2012", "", ""), ("tfds:imagenet2012", "", "")]),
        ("coco:darknet", {"data.source": "A", "evaluation.source": "B"}, [("A", "", "B"), None, None]),
        ("darknet19", {"data.source": "A"}, [("A", "", ""), ("A", "", "")]),
        ("darknet19", {"pretraining.data.source": "A"}, [("tfds:imagenet2012", "", ""), ("A", "", "")]),
        ("voc", {"pretraining.data.source": "A"}, [None, ("A", "", ""), ("A", "", "")]),
        ("voc", {"data.source": "A", "evaluation.source": "B"}, [("A", "", "B"), None, None]),
        ("yolo9000", {"data.source": "A"}, [("A", "folders:imagenet_9k", ""), ("folders:imagenet_9k", "", "")]),
        ("yolo9000", {"classification.source": "A"}, [("tfds:coco/2017", "A", ""), ("A", "", "")]),
        ("yolo9000:1k", {"classification.source": "A"}, [("tfds:coco/2017", "A", ""), ("A", "", "")]),
        (
            "yolo9000",
            {"classification.source": "A", "pretraining.data.source": "B"},
            [("tfds:coco/2017", "A", ""), ("B", "", "")],
        ),
        (
            "demo",
            {"classification.source": "A"},
            [("emoji:coarse", "A", "emoji:levels"), ("A", "", "")],
        ),
        ("yolo9000_blood_cells", {"data.source": "A"}, [("A", "folders:runs/blood_cells_data/crops", ""), None]),
        ("ablation:passthrough", {"dataset": "emoji", "data.source": "A"}, [("A", "", ""), None, None]),
    ],
)
def test_sources_that_belong_together(name, values, expected):
    found = sources(configs.load(name, values))
    assert len(found) == len(expected)
    assert all(wanted is None or ours == wanted for ours, wanted in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    "name, prefix, parts",
    [
        (
            "voc",
            "",
            [
                "data.source is now A, but evaluation.source is still tfds:voc/2007",
                "give --config.evaluation.source too",
                "data.split (train+validation), evaluation.split (test), data.classes (20 names)",
            ],
        ),
        ("ablation:yolo", "", ["evaluation.source is still tfds:voc/2007"]),
        ("demo", "", ["evaluation.source is still emoji:levels", "evaluation.classes (24 names)"]),
        ("yolo9000_emoji:detection", "", ["evaluation.source is still emoji:levels"]),
    ],
)
def test_data_without_their_evaluation(name, prefix, parts):
    message = refusal(configs.load, name, {f"{prefix}data.source": "A"})
    assert message.startswith("--config: ") and all(part in message for part in parts), message


def test_what_is_given_need_not_be_given():
    message = refusal(configs.load, "voc", {"data.source": "A", "data.split": "all", "data.classes": "('a',)"})
    assert "data.split" not in message and "data.classes" not in message and "evaluation.split (test)" in message
    config = load("voc", data__source="voc:A", evaluation__source="voc:A", data__split="trainval")
    assert (config.data.source, config.evaluation.source) == ("voc:A", "voc:A")


def test_the_same_data_by_their_name_change_nothing():
    assert load("voc", data__source="tfds:voc/2007+voc/2012") == load("voc")


def test_classes_that_belong_together():
    config = load("demo", data__classes="('fox', 'wolf')")
    stages = [config, config.pretraining]
    assert [stage.data.classes for stage in stages] == [("fox", "wolf")] * 2
    assert config.evaluation.classes == config.classification.classes == ("fox", "wolf")
    config = load("voc", data__classes="('cat',)")
    assert config.evaluation.classes == ()  # as data.classes
    config = load("demo", data__classes="('fox', 'wolf')", evaluation__classes="('fox',)")
    assert config.evaluation.classes == ("fox",)


def test_overrides_may_be_values():
    changed = configs.override(configs.from_scratch(), {"steps": 7, "multi_scale": (64, 96)})
    assert changed.steps == 7 and changed.multi_scale == (64, 96)
