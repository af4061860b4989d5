"""Training, killing, continuing, evaluating and loading with a workdir in a bucket, of one process and of two."""

import json
import signal

import jax
import numpy as np
import pytest

pytest.importorskip("gcsfs")
pytest.importorskip("gcp_storage_emulator")

from tests import bucket as buckets_here  # noqa: E402
from tests import tiny  # noqa: E402
from tests.training.test_hosts import finish, start  # noqa: E402
from yolo9000_jax import config as configs  # noqa: E402
from yolo9000_jax.places import as_path  # noqa: E402
from yolo9000_jax.predict.loading import load  # noqa: E402
from yolo9000_jax.training.loop import train  # noqa: E402
from yolo9000_jax.workdir.checkpoints import Checkpoints, latest_step  # noqa: E402
from yolo9000_jax.workdir.facts import load_facts  # noqa: E402

CONFIG = """
from tests import tiny

def get_config(row=None):
    config = tiny.tiny_config({source!r})
    config.multi_scale, config.multi_scale_every = (), 10
    config.checkpoint_every = 2
    config.pretraining = first = tiny.tiny_config({source!r})
    first.name, first.steps, first.multi_scale, first.multi_scale_every = "first", 2, (), 10
    return config
"""


@pytest.fixture(scope="module")
def bucket():
    with buckets_here.serve() as bucket:
        yield bucket


@pytest.fixture(scope="module")
def config(bucket, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bucket")
    path = folder / "tiny.py"
    path.write_text(CONFIG.format(source=tiny.make_voc(folder / "data")))
    return path


@pytest.fixture(scope="module")
def undisturbed(config):
    """The workdir, in the bucket, of a whole run in this process."""
    train(configs.load(str(config)), "gs://pod/one")
    return as_path("gs://pod/one")


def state(workdir):
    checkpoints = Checkpoints(workdir)
    try:
        return checkpoints.raw(6)
    finally:
        checkpoints.close()


def steps(workdir):
    return [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_workdir_holds_what_a_folder_does(undisturbed, bucket):
    names = {path.name for path in undisturbed.iterdir()}
    files = {
        "config.json",
        "first_batch.png",
        "goodput.json",
        "metrics.jsonl",
        "network.json",
        "scores.json",
    }
    assert names == files | {"checkpoints", "pretraining", "report", "tensorboard"}
    assert steps(undisturbed) == [2, 4, 6, 6]
    assert len(list((undisturbed / "tensorboard").iterdir())) == 1
    assert sorted(path.name for path in undisturbed.glob("checkpoints/*")) == ["4", "6"]
    assert load("gs://pod/one").classes == tiny.CLASSES


def test_evaluate_and_init_from(undisturbed, config, run, tmp_path):
    official = ["--coco-results", "gs://pod/coco.json", "--voc-results", "gs://pod/voc"]
    status, said, errors = run(
        "evaluate", "--workdir", undisturbed, "--report", "gs://pod/report", "--json", tmp_path / "e", *official
    )
    assert status == 0, errors
    assert json.loads(as_path("gs://pod/coco.json").read_text()) and len(list(as_path("gs://pod/voc").iterdir())) == 2
    assert json.loads(as_path("gs://pod/report/metrics.json").read_text()) == json.loads((tmp_path / "e").read_text())
    assert as_path("gs://pod/report/index.html").read_text().startswith("<!DOCTYPE html>")
    given = {"init_from": "gs://pod/one", "pretraining": "none", "steps": "2", "profile_steps": "(2,2)"}
    train(configs.load(str(config), given), "gs://pod/from")
    assert latest_step(as_path("gs://pod/from")) == 2
    records = [as_path("gs://pod/from/profile") / folder for folder, *_ in as_path("gs://pod/from/profile").walk()]
    assert any(path.name.endswith(".xplane.pb") for folder in records for path in folder.iterdir())


def test_what_is_written_to_a_bucket(undisturbed, run, refused, tmp_path):
    """The bytes that a folder gets; a user's own object is kept, and what cannot be written there is refused."""
    voc = load_facts(undisturbed).run.phase.config["data"]["source"]
    picture, video = f"{voc.partition(':')[2]}/JPEGImages/0.jpg", tmp_path / "a.mp4"
    video.write_bytes(b"")
    as_path("gs://pod/mine.json").write_text("mine")
    for root in ("gs://pod/made", str(tmp_path)):
        commands = [
            ["predict", picture, "--workdir", undisturbed, "--json", f"{root}/p.json", "--output", f"{root}/drawn"],
            ["anchors", "--dataset", voc, "-k", "2", "--json", f"{root}/k.json"],
            ["convert", "--workdir", undisturbed, "--weights", f"{root}/d.weights"],
            ["wordtree", "merge", "emoji", "--output", f"{root}/t.tree"],
        ]
        for command in commands:
            status, _, errors = run(*command)
            assert status == 0, errors
    for name in ("p.json", "drawn/0.jpg", "k.json", "d.weights", "d.cfg", "d.names", "t.tree", "t.names"):
        assert as_path(f"gs://pod/made/{name}").read_bytes() == (tmp_path / name).read_bytes(), name
    assert "mine.json is there, and no result of this command" in refused(*commands[1][:-1], "gs://pod/mine.json")
    assert as_path("gs://pod/mine.json").read_text() == "mine"
    line = refused("predict", video, "--workdir", undisturbed, "--output", "gs://pod/made/drawn")
    assert "a video with boxes cannot be written to a bucket" in line
    line = refused("predict", "gs://pod/made/drawn/0.jpg", "--workdir", undisturbed)
    assert "gs://pod/made/drawn/0.jpg" in line


ABLATION = """
from tests.training.test_bucket import row_config
TABLE = {{"base": (False,)}}
COLUMNS = ("wide",)

def get_config(row="base"):
    return row_config({!r})
"""


def row_config(source):
    config = tiny.tiny_config(source)
    config.multi_scale, config.multi_scale_every, config.steps = (), 10, 2
    return config


def test_an_ablation_in_a_bucket(undisturbed, config, run):
    path = config.parent / "rows.py"
    path.write_text(ABLATION.format(f"voc:{config.parent / 'data'}"))
    for _ in range(2):  # the second time nothing is left to do
        status, said, errors = run("ablation", "--config", path, "--workdir", "gs://pod/table")
        assert (status, errors) == (0, "") and "base" in said
    names = {file.name for file in as_path("gs://pod/table").iterdir()}
    assert {"rows", "results"} < names and any(name.endswith(".md") for name in names)


def test_a_save_that_was_cut_short_is_none(undisturbed, config):
    """In a bucket a checkpoint bears its name before it is whole."""
    half = undisturbed / "checkpoints/9/default/d/half"
    half.write_bytes(b"half")
    assert latest_step(undisturbed) == 6
    train(configs.load(str(config)), "gs://pod/one")
    half.unlink()


def test_two_hosts_killed_go_on(config, undisturbed):
    """Batch norm is shared among the devices here, so the batch's split cannot matter."""
    workdir = as_path("gs://pod/two")
    hosts = start(config, workdir, sleep_s=0.5)
    for line in hosts[0].stdout:
        if line.startswith("step 6/6"):  # so step 4 is being saved, or is, and step 2 is
            break
    for host in hosts:
        host.send_signal(signal.SIGKILL)
    assert [status for status, *_ in finish(hosts)] == [-9, -9]
    assert latest_step(workdir) in (2, 4) and (workdir / "running.json").is_file()
    said = finish(start(config, workdir))
    assert [status for status, *_ in said] == [0, 0], said
    assert "continuing gs://pod/two from step " in said[0][1] and "first is in gs://pod/two" not in said[1][1]
    assert steps(workdir) == [2, 4, 6, 6] and not (workdir / "running.json").exists()
    one, two = state(undisturbed), state(workdir)
    for key in ("params", "batch_stats"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4), one[key], two[key])
