"""`yolo9000 benchmark` and `yolo9000 anchors --compare`: the paper's tables 1 and 3 on tiny networks and data."""

import json

import numpy as np
import pytest
from PIL import Image

from tests import tiny
from tests.predict.test_loading import REGION, write_net
from yolo9000_jax.evaluation import speed


@pytest.fixture
def files(tmp_path):
    """Arguments that name a network which finds a box of class 1 in each cell."""
    head = "[maxpool]\nsize=8\nstride=8\npadding=0\n" + REGION.format("softmax=1")
    cfg, weights = write_net(tmp_path, head, 7, [0, 0, 1, 1, 3, 0, 9])
    (tmp_path / "a.names").write_text("\n".join(tiny.CLASSES))
    return ["--cfg", cfg, "--weights", weights, "--names", tmp_path / "a.names"]


@pytest.fixture
def source(tmp_path):
    return tiny.make_voc(tmp_path / "data", pictures=12)


@pytest.fixture
def quick(monkeypatch):
    for name, value in {"runs": 2, "run_seconds": 0.0}.items():
        monkeypatch.setitem(speed.benchmark.__kwdefaults__, name, value)


def test_benchmark(files, source, quick, tmp_path, run):
    """The accuracies are those of `evaluate` at each size; the sizes need no order."""
    data = ["--dataset", source, "--split", "val"]
    outputs = ["--json", tmp_path / "b.json", "--plot", tmp_path / "b.png"]
    status, output, error = run("benchmark", *files, *data, "--sizes", "96,64", "--batch-size", 5, *outputs)
    assert (status, error) == (0, "")
    found = json.loads((tmp_path / "b.json").read_text())
    assert [row["size"] for row in found["sizes"]] == [64, 96]
    for row in found["sizes"]:
        assert 0 < row["images_per_s_slowest"] <= row["images_per_s"] <= row["images_per_s_fastest"]
        run("evaluate", *files, *data, "--size", row["size"], "--json", tmp_path / "e.json")
        expected = json.loads((tmp_path / "e.json").read_text())
        assert row["voc_ap50"] == pytest.approx(expected["voc_ap50"])
        assert row["voc07_ap50"] == pytest.approx(expected["voc07_ap50"])
        assert f"{100 * row['voc_ap50']:.1f}" in output
    assert found["sizes"][0]["voc_ap50"] != found["sizes"][1]["voc_ap50"]
    assert found["batch_size"] == 5 and found["runs"] == 2 and found["machine"]["cpu"] in output
    assert "data val" in output and "cited" in output
    assert Image.open(tmp_path / "b.png").size[0] > 300


def test_benchmark_of_speed_alone(files, quick, tmp_path, run):
    outputs = ["--json", tmp_path / "b.json", "--plot", tmp_path / "b.png"]
    status, output, error = run("benchmark", *files, "--sizes", 416, *outputs)
    assert (status, error) == (0, "") and "voc_ap50" not in output
    (line,) = (line for line in output.splitlines() if line.lstrip().startswith("416 "))
    assert line.split()[-2:] == ["67", "76.8"]
    (row,) = json.loads((tmp_path / "b.json").read_text())["sizes"]
    assert set(row) == {"size", "images_per_s", "images_per_s_slowest", "images_per_s_fastest"}
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_benchmark_of_a_workdir(trained, quick, tmp_path, run):
    """Thresholds and split are those of its training, and so are the accuracies at its own size."""
    data = ["--dataset", f"voc:{trained.parent / 'data'}"]
    status, output, error = run("benchmark", "--workdir", trained, *data, "--sizes", 64, "--json", tmp_path / "b.json")
    assert (status, error) == (0, "") and "data val" in output
    (row,) = json.loads((tmp_path / "b.json").read_text())["sizes"]
    expected = json.loads((trained / "report/metrics.json").read_text())
    assert row["voc_ap50"] == pytest.approx(expected["voc_ap50"])


def test_benchmarks_that_cannot_be(files, source, tmp_path, refused):
    assert "size 300: the network's input is a multiple of 32" in refused("benchmark", *files, "--sizes", "288,300")
    assert "sizes '288x': give whole numbers" in refused("benchmark", *files, "--sizes", "288x")
    assert "no data source 'vok'" in refused("benchmark", *files, "--sizes", 64, "--dataset", "vok:x")
    assert "no such folder" in refused("benchmark", *files, "--sizes", 64, "--dataset", f"voc:{tmp_path / 'none'}")
    assert "batch size 0" in refused("benchmark", *files, "--sizes", 64, "--batch-size", 0)
    assert "say which network" in refused("benchmark")
    plot = tmp_path / "a.names" / "b.png"
    assert f"{plot}: a plot cannot be written" in refused("benchmark", *files, "--sizes", 64, "--plot", plot)
    (tmp_path / "other.names").write_text("cat\ndog")
    names = ["--names", tmp_path / "other.names"]
    assert "disc" in refused("benchmark", *files[:4], *names, "--sizes", 64, "--dataset", source)
    classifier = write_net(tmp_path, "[avgpool]\n[softmax]\n", 3)
    arguments = ["--cfg", classifier[0], "--weights", classifier[1], "--sizes", 64]
    assert "benchmark is for detectors" in refused("benchmark", *arguments)


def test_compare_anchors(source, tmp_path, run):
    outputs = ["--json", tmp_path / "a.json", "--plot", tmp_path / "a.png", "--size", 320, "-k", 4]
    two = ["--dataset", source, "--split", "train", "--dataset", source, "--split", "val[:10]"]
    status, output, error = run("anchors", "--compare", *two, *outputs)
    assert (status, error) == (0, "")
    assert "data train (12 boxes)" in output and "data val[:10] (10 boxes)" in output
    found = json.loads((tmp_path / "a.json").read_text())
    assert [item["dataset"] for item in found["datasets"]] == [f"{source} train", f"{source} val[:10]"]
    for item in found["datasets"]:
        assert [row["k"] for row in item["table1"]] == [5, 5, 9, 9] and np.shape(item["anchors_cells"]) == (4, 2)
        assert item["table1"][1]["average_iou"] == item["iou_by_k"]["5"]
        for row in item["table1"]:
            assert f"{100 * row['average_iou']:.1f}" in output and f"{100 * row['paper']:.1f}" in output
    assert Image.open(tmp_path / "a.png").size[0] > 300
    status, output, _ = run("anchors", "--compare", "--dataset", source)
    assert status == 0 and "data train (12 boxes)" in output and "data val" not in output


def test_comparisons_that_cannot_be(source, tmp_path, refused):
    two = ["--dataset", source, "--dataset", source]
    assert "2 data sets are for --compare" in refused("anchors", *two)
    splits = ["--split", "train"] * 3
    assert "3 splits for 2 data sets" in refused("anchors", "--compare", *two, *splits)
    assert "only 4 distinct boxes" in refused("anchors", "--compare", "--dataset", source, "--split", "train[:4]")
    plot = ["--plot", tmp_path / "a.docx"]
    assert "a.docx: a plot cannot be written" in refused("anchors", "--compare", "--dataset", source, *plot)
    assert "no data source 'vok'" in refused("anchors", "--compare", "--dataset", "vok:x")
