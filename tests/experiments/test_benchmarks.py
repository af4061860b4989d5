"""The benchmark commands run; what they measure is not a test's business."""

import shutil
import subprocess
import sys

import pytest

from tests.helpers import ROOT, golden_dir

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


def network(name):
    """Arguments that name a shrunken network of the golden files."""
    cfg, weights = golden_dir() / f"cfg/{name}.cfg", golden_dir() / f"{name}.weights"
    if not weights.is_file():
        pytest.skip(f"no {name} among the golden files")
    return "--cfg", cfg, "--weights", weights, "--runs", 1


def test_darknet_speed_runs():
    if shutil.which("darknet") is None:
        pytest.skip("the program darknet is not installed")
    assert "ours     median" in run("darknet_speed.py", *network("yolov2-voc-s16"))


def test_yolo9000_runs():
    text = run("yolo9000.py", *network("yolo9000-s16-t33-160"))
    assert "33 classes" in text and text.count("% of the forward pass") == 2 and "GiB" in text
