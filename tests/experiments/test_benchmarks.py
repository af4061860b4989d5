"""The benchmark commands run; what they measure is not a test's business."""

import shutil
import subprocess
import sys

import pytest

from tests.helpers import ROOT, golden_json, golden_net
from yolo9000_jax.darknet.cfg import parse_cfg

COMMANDS = {
    "train_step.py": ["--width", "0.0625", "--size", "64", "--batch", "1", "--runs", "1"],
    "detection.py": ["--width", "0.0625", "--runs", "1"],
    "input_pipeline.py": ["emoji:val", "--pictures", "8", "--runs", "1"],
}


def run(script, *arguments):
    command = [sys.executable, ROOT / "experiments" / "benchmarks" / script, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "cores" in done.stdout
    return done.stdout


@pytest.mark.parametrize("script", COMMANDS)
def test_benchmark_runs(script):
    run(script, *COMMANDS[script])


def network(name, folder):
    """Arguments that name a network of the golden files; its weights may be made in `folder`."""
    cfg, weights = golden_net(name, folder)
    return "--cfg", cfg, "--weights", weights, "--runs", 1


def test_darknet_speed_runs(tmp_path):
    if shutil.which("darknet") is None:
        pytest.skip("the program darknet is not installed")
    assert "ours     median" in run("darknet_speed.py", *network("yolov2-voc-s16", tmp_path))


def test_yolo9000_runs(tmp_path):
    name = next((name for name in golden_json("nets.json") if name.startswith("yolo9000-s16")), "yolo9000-s16")
    files = network(name, tmp_path)
    text = run("yolo9000.py", *files)
    assert (
        f"{parse_cfg(files[1]).head.classes} classes" in text
        and text.count("% of the forward pass") == 2
        and "GiB" in text
    )
