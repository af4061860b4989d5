"""The benchmark commands run; what they measure is not a test's business."""

import subprocess
import sys

import pytest

from tests.helpers import ROOT

COMMANDS = {
    "train_step.py": ["--width", "0.0625", "--size", "64", "--batch", "1", "--runs", "1"],
    "detection.py": ["--width", "0.0625", "--runs", "1"],
    "input_pipeline.py": ["emoji:val", "--pictures", "8", "--runs", "1"],
}


@pytest.mark.parametrize("script", COMMANDS)
def test_benchmark_runs(script):
    command = [sys.executable, str(ROOT / "experiments" / "benchmarks" / script), *COMMANDS[script]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "cores" in done.stdout
