"""The commands: what they print and write, and one line on stderr for each mistake."""

import argparse
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import weakref

import numpy as np
import pytest
from PIL import Image

from tests import tiny
from tests.helpers import ROOT
from yolo9000_jax import cli
from yolo9000_jax import config as configs
from yolo9000_jax.cli.arguments import JsonList, share
from yolo9000_jax.errors import Stopped, UserError
from yolo9000_jax.files import to_json
from yolo9000_jax.report.coco import NAMES
from yolo9000_jax.tasks.detection import Detection
from yolo9000_jax.training import loop

CONFIG = "from tests.tiny import tiny_config\ndef get_config(row=None):\n    return tiny_config({!r})\n"


@pytest.fixture
def data(tmp_path):
    """A folder of its own with the tiny data set, for a test to spoil; and a config file that trains on it."""
    tiny.make_voc(tmp_path / "data")
    (tmp_path / "tiny.py").write_text(CONFIG.format(f"voc:{tmp_path / 'data'}"))
    return tmp_path / "data"


@pytest.fixture
def train(tmp_path, data, refused):
    """train(*arguments) -> the one line with which training on `data` is refused; nothing is left behind."""

    def train(*arguments):
        message = refused("train", "--config", tmp_path / "tiny.py", "--workdir", tmp_path / "run", *arguments)
        assert not (tmp_path / "run").exists()
        return message

    return train


# Data that are wrong.


def test_missing_picture(train, data):
    (data / "JPEGImages/5.jpg").unlink()
    message = train()
    assert "5.xml" in message and "5.jpg" in message


def test_truncated_picture(train, data):
    path = data / "JPEGImages/2.jpg"
    path.write_bytes(path.read_bytes()[:1500])
    message = train()
    assert "2.xml" in message and "2.jpg is truncated" in message


def test_malformed_xml(train, data):
    path = data / "Annotations/4.xml"
    path.write_text(path.read_text()[:-20])
    assert f"{path} is not well-formed XML" in train()


def test_box_that_is_no_number(train, data):
    path = data / "Annotations/6.xml"
    path.write_text(path.read_text().replace("<xmax>", "<xmax>x"))
    message = train()
    assert "6.xml, object 1" in message and "xmax" in message


def test_picture_that_breaks_after_opening(tmp_path, data, refused, monkeypatch):
    def batches(self, start, stop, real=Detection.batches):
        path = data / "JPEGImages/3.jpg"
        path.write_bytes(path.read_bytes()[:1500])
        return real(self, start, stop)

    monkeypatch.setattr(Detection, "batches", batches)
    monkeypatch.setattr(Detection, "init", lambda self, seed: {"params": {"kernel": np.zeros(2)}})
    monkeypatch.setattr(loop._Run, "_compile", lambda self: None)  # there is no network
    arguments = (
        "train",
        "--config",
        tmp_path / "tiny.py",
        "--workdir",
        tmp_path / "run",
        "--config.multi_scale=()",
        "--config.multi_scale_every=10",
    )
    message = refused(*arguments)
    assert "step 0: " in message and f"{data / 'JPEGImages/3.jpg'} is broken or truncated" in message


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["--config.data.source=vok:x"], "vok:x: there is no data source 'vok' (did you mean 'voc'?)"),
        (["--config.data.source="], "data.source is empty"),
        (["--config.data.source=voc:nowhere"], "voc:nowhere: there is no such folder"),
        (["--config.data.split=trian"], "no trian.txt (did you mean 'train'?)"),
        (["--config.data.classes=('disc','rectangel')"], "class 'rectangel' is not among"),
        (["--config.model.widht=1"], "no config key model.widht; did you mean model.width?"),
        (["--config.steps=many"], "steps is 'many'"),
        (["--config.image_size=100"], "image_size is 100"),
        (["--config.steps"], "one argument, without spaces: --config.steps=VALUE"),
        (["--config.steps", "5"], "one argument, without spaces: --config.steps=5"),
        (["--config.steps", "--config.seed=1"], "one argument, without spaces: --config.steps=VALUE"),
        (["--config.steps=5", "--config.steps=6"], "--config.steps is given twice"),
        (["--steps=5"], "--steps=5: unknown argument; keys of the config are written --config.KEY=VALUE"),
        (["--minuts=5"], "--minuts=5: unknown argument (did you mean --minutes?)"),
        (["--minutes=5", "--config.minutes=6"], "--minutes and --config.minutes both say how long: leave one out"),
        (["more"], "more: unknown argument"),
    ],
)
def test_wrong_training_arguments(train, arguments, part):
    assert part in train(*arguments)


def test_missing_config(refused, tmp_path):
    message = refused("train", "--config", tmp_path / "none.py", "--workdir", tmp_path / "run")
    assert f"{tmp_path / 'none.py'}: no such config file" in message


def test_workdir_of_another_experiment(trained, tmp_path, refused):
    (tmp_path / "tiny.py").write_text(CONFIG.format(f"voc:{trained.parent / 'data'}"))
    shutil.copytree(trained, tmp_path / "run")
    arguments = ("--config", tmp_path / "tiny.py", "--workdir", tmp_path / "run", "--config.optimizer.momentum=0.5")
    message = refused("train", *arguments)
    assert str(tmp_path / "run") in message and "optimizer.momentum: 0.9 -> 0.5" in message


# Commands that are wrong.


@pytest.mark.parametrize(
    "arguments, part",
    [
        ([], "VERB"),
        (["trian"], "invalid choice: 'trian'"),
        (["train"], "--config"),
        (["evaluate", "--workdir", "x", "--bogus"], "yolo9000 evaluate: error: --bogus: unknown argument\n"),
        (["predict", "a.jpg", "--workdir", "x", "--conf", "1"], "--conf: unknown argument (did you mean --threshold?)"),
        (["evaluate", "--workdir", "x", "--imgsz=64"], "--imgsz=64: unknown argument (did you mean --size?)"),
        (["predict", "a.jpg", "--workdir", "x", "--thresold", "1"], "--thresold: unknown argument (did you mean --thr"),
        (["wordtree", "show", "emoji", "--dept=1"], "show: error: --dept=1: unknown argument (did you mean --depth?)"),
        (["predict", "a.jpg", "--threshold", "1.5"], "--threshold: '1.5' is not a number from 0 to 1"),
        (["predict", "a.jpg", "--nms", "half"], "--nms: 'half' is not a number from 0 to 1"),
        (["predict", "a.jpg", "--threshold", "nan"], "--threshold: 'nan' is not a number from 0 to 1"),
        (["anchors", "--dataset", "emoji", "--size", "0"], "--size: '0' is not a whole number, 1 or more"),
        (["demo", "--minutes", "0"], "--minutes: '0' is not a number above 0"),
        (["demo", "--minutes", "inf"], "--minutes: 'inf' is not a number above 0"),
        (["predict", "--workdir", "x"], "INPUT"),
        (["predict", "a.jpg", "--workdir", "x", "--size", "large"], "'large'"),
    ],
)
def test_wrong_command_lines(arguments, part, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert part in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["evaluate"], ["predict", "a.jpg"]])
def test_workdirs_without_a_detector(verb, refused, tmp_path):
    assert f"{tmp_path}: no network.json" in refused(*verb, "--workdir", tmp_path)
    values = configs.detection().to_dict()
    values["model"]["classes"] = ["cat"]
    (tmp_path / "config.json").write_text(json.dumps(values))  # as a version before network.json left it
    assert f"{tmp_path}: there is no checkpoint here yet; train first" in refused(*verb, "--workdir", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("size", [0, -32, 100, 999_999_968])
def test_wrong_size(trained, refused, size):
    message = refused("predict", "a.jpg", "--workdir", trained, "--size", size)
    assert f"--size {size}: it must be a multiple of 32" in message


@pytest.mark.parametrize(
    "stop, status, output, error",
    [
        (Stopped("stopped at step 3"), 143, "stopped at step 3\n", ""),
        (Stopped("stopped at step 3", signal.SIGINT), 130, "stopped at step 3\n", ""),
        (KeyboardInterrupt(), 130, "", "yolo9000: stopped\n"),
    ],
)
def test_a_stop_that_was_asked_for(run, monkeypatch, stop, status, output, error):
    """It has the status that a shell would give a program that the signal ended, and is no mistake of the user's."""

    def stopped(*_):
        raise stop

    monkeypatch.setattr("yolo9000_jax.data.survey.check", stopped)
    assert run("check", "--dataset", "emoji", "--split", "test[:1]") == (status, output, error)


def test_nobody_reads_the_output():
    """`yolo9000 … | head` ends without a word."""
    program = [sys.executable, "-m", "yolo9000_jax", "wordtree", "show", "emoji"]
    running = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.stdout.close()
    _, error = running.communicate(timeout=60)
    assert (running.returncode, error) == (141, "")


def test_help_needs_nothing_heavy():
    """So that it comes at once."""
    program = "import sys\nfrom yolo9000_jax import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass\n"
    program += "print(*[name for name in ('jax', 'numpy', 'tensorflow', 'ml_collections') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    *lines, heavy = done.stdout.splitlines()
    assert (heavy, done.stderr) == ("", "")
    assert "  143  stopped by SIGTERM, as by a machine that is to be taken away: `train` has" in lines


@pytest.mark.parametrize("verb", ["predict", "classify"])
def test_help_says_that_addresses_are_taken(verb, capsys):
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "http(s)" in text and "addresses" in text and "lists of them (.txt, a path a line)" in text


def test_json_that_cannot_be_written_is_refused_at_once(refused, tmp_path):
    for path in (tmp_path, tmp_path / "none" / "m.json", "/proc/m.json"):
        message = refused("evaluate", "--workdir", tmp_path / "nowhere", "--json", path)
        assert f"{path}: cannot be written" in message


def test_only_the_mistake_is_on_stderr(data, tmp_path):
    """Also once TensorFlow, which likes to talk, is loaded."""
    program = [sys.executable, "-m", "yolo9000_jax", "train", "--config.model.num_anchors=99"]
    program += ["--config", tmp_path / "tiny.py", "--workdir", tmp_path / "run"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(program, cwd=ROOT, env=plain, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("yolo9000: ") and done.stderr.count("\n") == 1 and "99" in done.stderr


# Commands that work.


@pytest.mark.parametrize(
    "arguments, overrides, given",
    [
        ([], {}, {}),
        (["--config.model.width=0.5", "--config.name=a=b"], {"model.width": "0.5", "name": "a=b"}, {}),
        (["--minutes", "2"], {"minutes": "2.0"}, {}),
        (["--stages", "s"], {}, {"stages": "s"}),
        (["--extend", "at544", "--config.steps=9"], {"steps": "9"}, {"extend": "at544"}),
    ],
)
def test_train_hands_on_what_it_is_given(run, monkeypatch, arguments, overrides, given):
    calls = []
    monkeypatch.setattr("yolo9000_jax.config.load", lambda *rest: calls.append(rest) or "the config")
    monkeypatch.setattr("yolo9000_jax.training.loop.train", lambda *rest, **named: calls.append((rest, named)))
    status, _, error = run("train", "--config", "voc:darknet", "--workdir", "runs/a", *arguments)
    assert (status, error) == (0, "")
    assert calls == [("voc:darknet", overrides), (("the config", "runs/a"), given)]


def test_finished_training_run_again(trained, tmp_path, run):
    (tmp_path / "tiny.py").write_text(CONFIG.format(f"voc:{trained.parent / 'data'}"))
    shutil.copytree(trained, tmp_path / "run")
    arguments = ("--config", tmp_path / "tiny.py", "--workdir", tmp_path / "run", "--config.log_every=1")
    status, output, _ = run("train", *arguments)
    assert status == 0 and "from step 6" in output


def test_evaluate_gives_the_numbers_of_training(trained, tmp_path, run):
    arguments = ("--json", tmp_path / "m.json", "--report", tmp_path / "r")
    status, output, error = run("evaluate", "--workdir", trained, *arguments)
    assert (status, error) == (0, "")
    found = json.loads((tmp_path / "m.json").read_text())
    assert found | {"step": 6} == json.loads((trained / "report/metrics.json").read_text())
    diagnosis = {"mistakes", "breakdown", "calibration", "best_f1"}
    assert set(found) == {"voc_ap50", "voc07_ap50", "recall50", "images", "per_class", *NAMES, *diagnosis}
    assert found["images"] == 8
    assert set(found["per_class"]) == set(tiny.CLASSES)
    assert f"voc_ap50 {found['voc_ap50']:.4f}" in output and "disc" in output
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["found.json", "index.html", "metrics.json"]


def test_evaluate_another_split_and_size(trained, tmp_path, run):
    arguments = ("--split", "train[:50%]", "--size", 96, "--resize", "letterbox", "--json", tmp_path / "m.json")
    status, _, _ = run("evaluate", "--workdir", trained, *arguments)
    assert status == 0 and json.loads((tmp_path / "m.json").read_text())["images"] == 4


def test_evaluate_other_classes(trained, data, run):
    path = data / "Annotations/0.xml"
    path.write_text(path.read_text().replace("disc", "disk"))
    status, output, error = run("evaluate", "--workdir", trained, "--dataset", f"voc:{data}")
    assert (status, error) == (0, "") and "left out: 1 'disk'" in output


def test_predict(trained, tmp_path, run):
    folder = trained.parent / "data/JPEGImages"
    arguments = ("--workdir", trained, "--threshold", 0, "--json", tmp_path / "p.json", "--output", tmp_path / "out")
    status, output, error = run("predict", folder, *arguments)
    assert (status, error) == (0, "")
    items = json.loads((tmp_path / "p.json").read_text())
    assert [item["image"] for item in items] == [str(folder / f"{n}.jpg") for n in range(8)]
    assert all(list(item) == ["image", "width", "height", "detections"] for item in items)
    for found in (found for item in items for found in item["detections"]):
        assert list(found) == ["box_xyxy", "score", "class", "label"]
        assert found["label"] == tiny.CLASSES[found["class"]] and 0 <= found["score"] <= 1
        assert 0 <= min(found["box_xyxy"]) and max(found["box_xyxy"]) <= 96
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{n}.jpg" for n in range(8)]
    assert output.count("\n") == 11 and ": the checkpoint of step 6\n" in output and output.startswith("on cpu (")


def test_predict_wrong_files(trained, tmp_path, refused):
    arguments = ("--workdir", trained, "--json", tmp_path / "p.json")
    message = refused("predict", tmp_path / "no.jpg", *arguments)
    assert "no.jpg: no such file" in message
    assert message.endswith(json.loads((tmp_path / "p.json").read_text())[0]["error"] + "\n")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    message = refused("predict", tmp_path / "a.png", "--workdir", trained, "--json", tmp_path / "none/p.json")
    assert f"{tmp_path / 'none/p.json'}: cannot be written" in message


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_predict_that_is_stopped_keeps_what_it_has(trained, tmp_path, monkeypatch, run, number, status):
    """A camera's JSON grows with every frame, is whole when it is stopped, and nothing of it stays in memory."""
    from yolo9000_jax.predict import files

    class Item(dict):
        """A dict of which a test can tell whether it is still in memory."""

    alive = weakref.WeakSet()

    def camera(*_, **__):
        try:
            for frame in itertools.count():
                item = Item(image="a.jpg", frame=frame, detections=[])
                item.__class__.__hash__ = object.__hash__
                alive.add(item)
                assert len(alive) <= 2
                yield item
                del item
                text = (tmp_path / "p.json").read_text()
                assert [item["frame"] for item in json.loads(text + "]")] == list(range(frame + 1))
                if frame == 5:
                    os.kill(os.getpid(), number)
        finally:
            ended.append(True)

    ended = []
    monkeypatch.setattr(files, "predict", camera)
    found = run("predict", "a.jpg", "--workdir", trained, "--json", tmp_path / "p.json")
    assert found[0] == status and ended and "stopped" in found[1] + found[2]
    text = (tmp_path / "p.json").read_text()
    assert [item["frame"] for item in json.loads(text)] == list(range(6))
    assert text == to_json(json.loads(text))


def test_json_of_nothing(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("of before")
    with pytest.raises(UserError, match="no network"), JsonList(str(path)):
        raise UserError("no network")
    assert path.read_text() == "of before"
    with JsonList(str(path)):
        pass
    assert json.loads(path.read_text()) == []
    with (
        pytest.raises(UserError, match=r"x\.json: cannot be written"),
        JsonList(str(tmp_path / "none/x.json")) as items,
    ):
        items.add({})
    with JsonList(None) as items:
        items.add({})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no full disk")
def test_json_on_a_full_disk():
    with pytest.raises(UserError, match="/dev/full: cannot be written"), JsonList("/dev/full") as items:
        items.add({})


@pytest.mark.parametrize("text, meant", [("25", "0.25"), ("45%", "0.45"), ("-1", ""), ("much", ""), ("nan", "")])
def test_percents(text, meant):
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        share(text)
    assert str(caught.value).endswith(f"(did you mean {meant}?)" if meant else "from 0 to 1")


def test_anchors_and_check(data, tmp_path, run):
    source = f"voc:{data}"
    arguments = ("-k", 2, "--size", 96, "--json", tmp_path / "a.json", "--plot", tmp_path / "a.png")
    status, output, _ = run("anchors", "--dataset", source, *arguments)
    found = json.loads((tmp_path / "a.json").read_text())
    assert status == 0 and len(found["anchors_cells"]) == 2 and found["image_size"] == 96
    assert f"2 priors for 8 boxes, average IoU {found['average_iou']:.4f}" in output
    assert (tmp_path / "a.png").stat().st_size > 1000
    status, output, _ = run("check", "--dataset", source)
    assert status == 0 and "8 pictures, 8 boxes, 2 classes" in output


def test_what_does_not_go_together(data, tmp_path, refused):
    assert "--names goes with --cfg" in refused("predict", "a.jpg", "--workdir", tmp_path, "--names", "a.names")
    assert "--size 100: it must be a multiple of 32" in refused("anchors", "--dataset", f"voc:{data}", "--size", 100)
    picture = data / "JPEGImages/3.jpg"
    before = picture.read_bytes()
    for verb in (("predict", picture, "--workdir", tmp_path), ("anchors", "--dataset", f"voc:{data}")):
        assert f"{picture} is there, and no result of this command" in refused(*verb, "--json", picture)
    assert picture.read_bytes() == before
