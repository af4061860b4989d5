"""config.json: written and read again, also of earlier versions; what differs between a run and its continuation."""

import json

import pytest

from tests.config.refusal import refusal
from yolo9000_jax import config as configs


def changed(config, **values):
    """A copy; `model__width` is the key model.width."""
    return configs.override(config, {key.replace("__", "."): repr(value) for key, value in values.items()})


def test_save_and_read(tmp_path):
    config = changed(
        configs.load("voc"),
        multi_scale=(64, 96),
        model__anchors_cells=((1, 2), (0.25, 3)),
        data__classes=("a", "ü"),
    )
    configs.save(config, tmp_path / "config.json")
    again = configs.read(tmp_path / "config.json")
    assert again == config and again.pretraining.pretraining.name == "darknet19_224"
    assert again.model.anchors_cells == ((1.0, 2.0), (0.25, 3.0))
    assert configs.difference(config, again) == []


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"steps": "x"}', '{"stps": 1}', "\x80", '{"format": 99}', "3"])
def test_read_what_is_no_config(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin1"))
    assert str(path) in refusal(configs.read, path)


def test_read_missing(tmp_path):
    assert "config.json" in refusal(configs.read, tmp_path / "config.json")


def as_before(config) -> dict:
    """A config as version 0.1 wrote it: without the keys that came later, with the one that is gone."""
    values = config.to_dict()
    for key in ("epochs", "minutes"):
        del values[key]
    for group, key in (
        ("optimizer", "learning_rate_scaling"),
        ("optimizer", "reference_batch_size"),
        ("evaluation", "metric"),
    ):
        del values[group][key]
    values["model"]["classes"] = ["cat", "dog"]
    if values["pretraining"]:
        values["pretraining"] = as_before(config.pretraining)
    return values


def test_files_of_an_earlier_version(tmp_path):
    """They are read without the key that is gone; in a config of today it is a mistake."""
    path, config = tmp_path / "config.json", configs.load("blood_cells")
    with config.unlocked():
        config.pretraining = configs.classification()
        config.pretraining.steps = 9
    path.write_text(json.dumps(as_before(config)))
    again = configs.read(path)
    assert (again.steps, again.epochs, again.pretraining.steps) == (2600, 0.0, 9)
    assert configs.difference(again, config) == [] == configs.difference(config, again)
    values = as_before(config) | {"stepps": 3}
    path.write_text(json.dumps(values))
    assert "no config key stepps" in refusal(configs.read, path)
    path.write_text(json.dumps(as_before(config) | {"format": 2}))
    assert "model.classes" in refusal(configs.read, path)
    assert "model.classes" in refusal(configs.complete, as_before(config))


@pytest.mark.parametrize("version", [1, 2])
def test_passthrough_before_it_had_names(tmp_path, version):
    path = tmp_path / "config.json"
    for before, today in ((True, "darknet"), (False, "none"), ("paper", "paper")):
        model = {"model": {"passthrough": before}}
        path.write_text(json.dumps({"format": version, "pretraining": model} | model))
        config = configs.read(path)
        assert config.model.passthrough == config.pretraining.model.passthrough == today


def test_keys_that_came_later_mean_what_was_done_before(tmp_path):
    path, config = tmp_path / "config.json", configs.load("darknet19")
    values = configs.as_saved(config)
    del values["augment"]["crop"], values["pretraining"]["augment"]["crop"], values["model"]["head_init"]
    path.write_text(json.dumps(values))
    again = configs.read(path)
    assert again.augment.crop == again.pretraining.augment.crop == "darknet" and again.model.head_init == "calm"
    assert again.pretraining.model.head_init == "darknet"  # which it has


@pytest.mark.parametrize("name", ["my_data", "fruit", "demo"])
def test_what_has_no_effect_is_no_difference(tmp_path, name):
    """A run from before a key came goes on where nothing looks at the key."""
    path, config = tmp_path / "config.json", configs.load(name)
    values = configs.as_saved(config)
    for stage in (values, values["pretraining"]):
        if stage:
            del stage["augment"]["crop"], stage["model"]["head_init"]
    path.write_text(json.dumps(values))
    assert configs.difference(configs.read(path), config) == []


def test_what_ran_once_can_be_read(tmp_path):
    """Values that are refused today, which an earlier version let through."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"steps": 3, "augment": {"flip": 7.0}, "model": {"side": 5}}))
    config = configs.read(path)
    assert (config.augment.flip, config.model.side) == (7.0, 5)


def test_difference_names_keys_and_values():
    old = configs.detection()
    new = changed(old, model__width=0.5, log_every=7, evaluation__batch_size=3, steps=5)
    assert configs.difference(old, new) == ["model.width: 1.0 -> 0.5", "steps: 0 -> 5"]
    assert configs.difference(new, new) == []


def test_difference_leaves_out():
    old = configs.load("yolo9000")
    new = changed(old, data__source="coco:a,b", classification__source="folders:b", steps=5, loss__class_scale=2.0)
    names = {line.partition(":")[0] for line in configs.difference(old, new)}
    assert names == {
        *("data.source", "classification.source", "pretraining.data.source", "steps", "loss.class_scale"),
    }
    names = {line.partition(":")[0] for line in configs.difference(old, new, configs.SOURCES)}
    assert names == {"steps", "loss.class_scale"}
    assert configs.difference(old, new, (*configs.SOURCES, "steps", "loss")) == []


def test_difference_of_pretraining():
    old = configs.load("voc")
    line = "pretraining: darknet19_448 after darknet19_224 -> none"
    assert configs.difference(old, configs.override(old, {"pretraining": "none"})) == [line]
    new = configs.override(old, {"pretraining.pretraining": "none", "optimizer.momentum": "0.8"})
    assert configs.difference(new, old) == [
        "optimizer.momentum: 0.8 -> 0.9",
        "pretraining: darknet19_448 -> darknet19_448 after darknet19_224",
    ]


def test_a_reference_that_has_no_effect_is_no_difference():
    old, new = configs.load("voc"), configs.load("voc", {"optimizer.reference_batch_size": "32"})
    assert configs.difference(old, new) == []
    new.optimizer.learning_rate_scaling = "linear"
    assert len(configs.difference(old, new)) == 2
