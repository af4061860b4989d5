"""The benchmark commands run; what they measure is not a test's business."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import types

import jax
import pytest

from tests.helpers import ROOT, golden_json, golden_net
from yolo9000_jax.darknet.cfg import parse_cfg

COMMANDS = {
    "train_step.py": ["--width", "0.0625", "--size", "64", "--batch", "1", "--runs", "1"],
    "detection.py": ["--width", "0.0625", "--runs", "1"],
    "input_pipeline.py": ["emoji:val", "--pictures", "8", "--runs", "1"],
}


def run(script, *arguments, **environment):
    command = [sys.executable, ROOT / "experiments" / "benchmarks" / script, *arguments]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=ROOT, env=os.environ | environment
    )
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


def test_saving_runs(tmp_path):
    text = run(
        "saving.py",
        "--width",
        1 / 64,
        "--size",
        32,
        "--batch",
        1,
        "--runs",
        1,
        "--step-seconds",
        1,
        "--folder",
        tmp_path,
    )
    assert "% at most" in text and list(tmp_path.iterdir()) == []


ENTRIES = {
    "golden": {"kind", "name", "precision", "difference", "limit", "agrees"},
    "steps": {"what", "dtype", "size", "batch", "images_per_s", "tflop_per_s", "peak_percent", "product_percent"},
    "prediction": {"dtype", "size", "batch", "ms", "images_per_s"},
    "tree": {"what", "boxes", "nodes", "ms"},
    "gradients": {"what", "input", "filters", "dtype", "ours_ms", "xla_ms", "products_ms"}
    | {"difference", "products_difference"},
}


def test_accelerator_runs_without_tensorflow(tmp_path):
    """All parts, on the CPU, where TensorFlow cannot be imported; and the golden numbers are Darknet's."""
    for name in ("tensorflow", "tensorflow_datasets"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('TensorFlow is imported')\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    text = run("accelerator.py", "--quick", "--minutes", 60, "--json", tmp_path / "a.json", PYTHONPATH=path)
    found = json.loads((tmp_path / "a.json").read_text())
    assert set(found) == {"machine", "minutes", "quick", "parts", "seconds"} and set(found["parts"]) == set(ENTRIES)
    for part, rows in found["parts"].items():
        assert f"\n{part}\n" in text
        assert rows and all(set(row) == ENTRIES[part] | {"took_s", "note"} for row in rows)
        assert [row for row in rows if row["note"] is not None or row["took_s"] is None] == []
    golden = found["parts"]["golden"]
    assert {(row["kind"], row["precision"]) for row in golden} == {
        (kind, precision) for kind in ("network", "layers", "loss") for precision in ("default", "highest")
    }
    assert all(row["agrees"] is True and 0 < row["difference"] < row["limit"] for row in golden)
    speeds = [row["images_per_s"] for part in ("steps", "prediction") for row in found["parts"][part]]
    assert any(speeds) and all(speed is None or speed > 0 for speed in speeds)
    assert max(row["difference"] for row in found["parts"]["gradients"]) < 1e-5


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments/benchmarks")
    return importlib.import_module("accelerator")


def test_accelerator_ends_in_time_with_what_it_has(accelerator, monkeypatch):
    """By a clock that only a measurement moves: what would take too long is not begun, and the rest is measured."""
    now = 0.0
    monkeypatch.setattr(accelerator, "time", types.SimpleNamespace(monotonic=lambda: now))

    def lasting(seconds):
        def work():
            nonlocal now
            now += seconds
            return {"ms": seconds}

        return work

    def without_memory():
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes")

    def broken():
        raise ValueError("no such\nlayout")

    works = [without_memory, broken, lasting(3.0), lasting(4.0), lasting(1.0)]
    measurements = (accelerator.Measurement({"what": n}, work, ("ms",)) for n, work in enumerate(works))
    rows = list(accelerator.measure(measurements, until=10.0))
    assert [row["what"] for row in rows] == [0, 1, 2, 3, 4] and now == 7.0
    assert [row["ms"] for row in rows] == [None, None, 3.0, 4.0, None]
    notes = ["out of memory", "ValueError: no such layout", None, None, "no time left"]
    assert [row["note"] for row in rows] == notes


def test_accelerator_tries_no_batch_above_one_without_room(accelerator, monkeypatch):
    tried = []

    def step(model, size, batch, objective, variables):
        tried.append((size, batch))
        raise MemoryError

    monkeypatch.setattr(accelerator, "OurStep", step)
    scale = accelerator.QUICK._replace(sizes=(32, 64), step_batches=(4, 2, 8))
    rows = list(accelerator.measure(accelerator.steps(scale), until=float("inf")))
    assert tried == [(32, 4), (64, 4), (32, 2), (64, 2)]
    assert [row["note"] for row in rows][1:] == ["out of memory"] * 4 + ["a smaller batch had no room"] * 2


def test_accelerator_that_differs_from_darknet_fails(accelerator, capsys):
    report = accelerator.Report(None)
    row = {"name": "yolov2", "precision": "default", "agrees": False}
    report.content["parts"]["golden"] = [row, row | {"precision": "highest", "agrees": None}]
    assert report.status() == 0
    report.content["parts"]["golden"].append(row | {"precision": "highest"})
    assert report.status() == 1 and "yolov2" in capsys.readouterr().err


def test_accelerator_knows_chips_by_jaxs_names(accelerator):
    assert accelerator._peak_tflops("NVIDIA H100 80GB HBM3", "bfloat16") == 989
    assert accelerator._peak_tflops("NVIDIA H100 PCIe", "float32") == 378
    assert accelerator._peak_tflops("NVIDIA A100-SXM4-40GB", "bfloat16") == 312
    assert accelerator._peak_tflops("TPU v5 lite", "float32") == 197
    assert accelerator._peak_tflops("NVIDIA L40S", "bfloat16") is None
    assert accelerator._peak_tflops("cpu", "float32") is None
