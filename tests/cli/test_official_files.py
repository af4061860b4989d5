"""`yolo9000 evaluate` with the files of official tools: what it prints and writes, and places that cannot be."""

import json

from tests import tiny
from tests.cli.test_tables import files  # noqa: F401, a fixture


def test_all_of_them(files, tmp_path, run):  # noqa: F811
    source = tiny.make_voc(tmp_path / "data", pictures=6)
    found, truth, folder = tmp_path / "found.json", tmp_path / "new" / "truth.json", tmp_path / "voc"
    outputs = ["--coco-results", found, "--coco-truth", truth, "--voc-results", folder, "--json", tmp_path / "m.json"]
    status, output, error = run("evaluate", *files, "--dataset", source, "--split", "val", "--size", 64, *outputs)
    assert (status, error) == (0, "")
    metrics = json.loads((tmp_path / "m.json").read_text())
    for name in ("coco_ap", "coco_ap50", "coco_ap_small", "coco_ar100"):
        value = metrics[name]
        assert f"\n{name} {'-' if value is None else format(value, '.4f')}\n" in output
    for text in ("wrong class", "by size: small", "best F1", "(ECE)"):
        assert text in output
    assert {"mistakes", "breakdown", "calibration", "best_f1"} <= metrics.keys()
    assert {"coco_ap", "best_f1"} <= metrics["per_class"]["disc"].keys()
    detections, there = json.loads(found.read_text()), json.loads(truth.read_text())
    assert len(detections) == sum(each["detections"] for each in metrics["per_class"].values())
    assert [each["id"] for each in there["images"]] == list(range(6)) and len(there["annotations"]) == 6
    assert sorted(file.name for file in folder.iterdir()) == [f"comp4_det_val_{name}.txt" for name in tiny.CLASSES]
    before = {path: path.read_bytes() for path in (found, truth, tmp_path / "m.json")}
    assert run("evaluate", *files, "--dataset", source, "--split", "val", "--size", 64, *outputs)[0] == 0
    assert before == {path: path.read_bytes() for path in before}
    lines = "".join(file.read_text() for file in folder.iterdir()).splitlines()
    assert len(lines) == len(detections) and {line.split()[0] for line in lines} <= set("012345")


def test_places_that_cannot_be_written(files, tmp_path, refused):  # noqa: F811
    (tmp_path / "file").write_text("")
    for flag in ("--coco-results", "--coco-truth"):
        assert f"{flag} {tmp_path}: cannot be written" in refused("evaluate", *files, flag, tmp_path)
    for flag in ("--voc-results", "--report"):
        assert f"{flag} {tmp_path / 'file'}: cannot" in refused("evaluate", *files, flag, tmp_path / "file")
    assert "cannot be written" in refused("evaluate", *files, "--coco-truth", tmp_path / "file" / "a.json")


def test_files_of_the_user_are_kept(files, tmp_path, refused):  # noqa: F811
    """Annotations, a workdir's own description, results of another kind."""
    for text in (
        '{"images": [], "annotations": [], "categories": []}',
        '{\n  "info": {},\n  "images": []\n}',
        '{\n  "task": "detection"\n}',
        '[{"image": "a.jpg", "annotations": []}]',
        "\x89PNG\r\n",
    ):
        (tmp_path / "mine.json").write_text(text)
        for flag in ("--json", "--coco-results", "--coco-truth"):
            message = refused("evaluate", *files, flag, tmp_path / "mine.json")
            assert f"{tmp_path / 'mine.json'} is there, and no result of this command: choose another name" in message
        assert (tmp_path / "mine.json").read_bytes() == text.encode()
    (tmp_path / "r").mkdir()
    for name in ("index.html", "metrics.json", "found.json"):
        mine = (tmp_path / "mine.json").rename(tmp_path / "r" / name)
        assert f"{mine} is there, and no result" in refused("evaluate", *files, "--report", tmp_path / "r")
        mine.rename(tmp_path / "mine.json")
    for verb in ("predict", "classify"):
        assert "is there, and no result" in refused(verb, "x.jpg", *files, "--json", tmp_path / "mine.json")
    assert "--json is empty" in refused("evaluate", *files, "--json", "")
