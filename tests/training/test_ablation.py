"""The ablation: its table, its rows at full size and, tiny, through the command; stopping, sharing, refusing."""

import json
import shutil
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from tests import tiny
from tests.helpers import ROOT
from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.factorial import contrasts
from yolo9000_jax.models.build import build_model
from yolo9000_jax.models.cost import cost
from yolo9000_jax.report.ablation import bases_of, make_table, summarise
from yolo9000_jax.report.comparing import Settings, StageCost, compare, row_core_seconds, taken_in_all
from yolo9000_jax.tasks import make_task
from yolo9000_jax.tasks.task import describe
from yolo9000_jax.training import ablation, schedule, state
from yolo9000_jax.training import loop as training
from yolo9000_jax.workdir.lock import lock_workdir

FILE = ROOT / "experiments" / "ablation.py"
MODULE = configs.load_module(str(FILE))
ROWS, BASES = list(MODULE.TABLE), bases_of(MODULE)
PATH = [row for row in ROWS if row not in MODULE.BASES]
# Each row's switches that differ from those of its base, and the keys that differ; "pretraining": any key of it.
CHANGES = {
    "batch_norm": ({"batch_norm"}, {"model.use_batch_norm", "model.dropout", "pretraining"}),
    "hi_res_classifier": ({"hi_res_classifier"}, {"pretraining"}),
    "convolutional": (
        {"convolutional", "anchor_boxes"},
        {"model.architecture", "image_size", "model.priors", "model.box_parametrisation"},
    ),
    "new_network": ({"new_network"}, {"model.trunk", "pretraining"}),
    "dimension_priors": (
        {"anchor_boxes", "dimension_priors", "location_prediction"},
        {"model.priors", "model.box_parametrisation"},
    ),
    "passthrough": ({"passthrough"}, {"model.passthrough"}),
    "multi_scale": ({"multi_scale"}, {"multi_scale"}),
    "hi_res_detector": ({"hi_res_detector"}, {"evaluation.image_size"}),
    "priors_only": ({"dimension_priors"}, {"model.priors"}),
    "location_only": ({"location_prediction"}, {"model.box_parametrisation"}),
    "passthrough_darknet": ({"passthrough"}, {"model.passthrough"}),
}
# Keys that one architecture alone looks at: for the other they have their defaults.
OF_ONE_ARCHITECTURE = {"model.passthrough", "model.head_init", "model.side", "model.dropout", "loss.warmup_images"}
# The same of the classifiers that the rows start from.
STAGES = {
    "batch_norm": {"model.use_batch_norm", "name", "optimizer.learning_rate"},
    "new_network": {"model.trunk", "name", "pretraining.model.trunk", "pretraining.name"},
}


def row_config(row, dataset="voc"):
    return configs.load(f"{FILE}:{row}", {"dataset": dataset})


def changed_keys(one, other) -> set[str]:
    return {line.partition(":")[0] for pair in ((one, other), (other, one)) for line in configs.difference(*pair)}


@pytest.mark.parametrize("dataset", MODULE.SETS)
def test_each_row_is_its_base_with_its_change(dataset):
    for row in ROWS[1:]:
        switches = {
            name
            for name, *flags in zip(MODULE.COLUMNS, MODULE.TABLE[BASES[row]], MODULE.TABLE[row], strict=True)
            if flags[0] != flags[1]
        }
        one, other = row_config(BASES[row], dataset), row_config(row, dataset)
        keys = {key.partition(".")[0] if key[0] == "p" else key for key in changed_keys(one, other)}
        if one.model.architecture != other.model.architecture:
            keys -= OF_ONE_ARCHITECTURE
        assert (switches, keys) == CHANGES[row], row
        if row in STAGES:
            assert changed_keys(one.pretraining, other.pretraining) <= STAGES[row]
    # Dropout is there without batch norm alone, and the two passthroughs are the paper's and Darknet's.
    assert [row_config(row, dataset).model.dropout for row in PATH[:3]] == [0.5, 0, 0]
    rows = [row_config(row, dataset).model.passthrough for row in ("passthrough", "passthrough_darknet", "priors_only")]
    assert rows == ["paper", "darknet", "none"]
    assert {row_config(row, dataset).model.head_init for row in ROWS[3:]} == {"darknet"}
    # The high-resolution classifier is the one that the row above starts from, trained on.
    assert (
        row_config("hi_res_classifier", dataset).pretraining.pretraining
        == row_config("batch_norm", dataset).pretraining
    )


def test_rows_columns_and_what_is_cited():
    assert len(MODULE.COLUMNS) == 10 and list(CHANGES) == ROWS[1:] and set(MODULE.PAPER) == set(PATH)
    assert ROWS[: len(PATH)] == PATH
    assert [round(100 * MODULE.PAPER[row]["voc07_ap50"], 1) for row in PATH] == [
        *(63.4, 65.8, 69.5, 69.2, 69.6, 74.4, 75.4, 76.8, 78.6)
    ]
    last = row_config(PATH[-1])
    last.evaluation.image_size, last.name = 0, "voc_paper"
    assert last == configs.load(str(ROOT / "experiments" / "voc.py"))


@pytest.mark.parametrize("dataset", MODULE.SETS)
def test_sizes(dataset):
    """A classifier's high resolution is YOLOv1's, on photographs, which fill a canvas only in part, two thirds of that;
    the convolutional rows have a middle cell, and scales around."""
    yolo, last = row_config("hi_res_classifier", dataset), row_config(PATH[-1], dataset)
    assert yolo.image_size == yolo.pretraining.image_size * (1.5 if dataset == "photos" else 1) == 64 * yolo.model.side
    assert yolo.pretraining.image_size == 2 * yolo.pretraining.pretraining.image_size
    assert last.image_size // 32 % 2 == last.evaluation.image_size // 32 % 2 == 1
    assert min(last.multi_scale) < last.image_size < last.evaluation.image_size <= max(last.multi_scale)


def test_photographs():
    """What the issue of the table holds fixed, and how many pictures each training sees."""
    rows = [row_config(row, "photos") for row in [*ROWS, *MODULE.FACTORIAL]]
    for key in ("steps", "batch_size", "optimizer", "evaluate_every", "data", "augment"):
        assert all(row[key] == rows[0][key] for row in rows), key
    for row in rows:
        for _, stage in configs.stages(row):
            assert stage.optimizer.clip_norm == 0 and stage.model.width == 0.25
        seen = [stage.steps * stage.batch_size / row.steps / row.batch_size for _, stage in configs.stages(row)]
        assert seen in ([1, 27], [1, 4.5, 27])
    moved = configs.load(str(FILE), {"dataset": "photos", "photos": "A"})
    assert moved.data.source == "voc:A/detect" and moved.pretraining.pretraining.data.source == "folders:A/classify"


def test_factorial():
    """Every run is Darknet-19 with its switches, and the runs tell all effects of one and of two switches apart."""
    places = [MODULE.COLUMNS.index(name) for name in MODULE.FACTORS]
    signs = np.array([[1 if flags[place] else -1 for place in places] for flags in MODULE.FACTORIAL.values()])
    assert signs.shape == (16, 5) and (signs.prod(1) == 1).all() and len(contrasts(signs)) == 15
    runs = {row: row_config(row, "photos") for row in MODULE.FACTORIAL}
    for row, config in runs.items():
        assert config.model.trunk == "darknet19" and config.model.use_batch_norm
        on = (
            config.pretraining.image_size == 128,
            config.model.priors == "kmeans",
            config.model.box_parametrisation == "direct",
            config.model.passthrough == "paper",
            len(config.multi_scale) > 1,
        )
        assert row.split("+")[1:] == [name for name, flag in zip(MODULE.FACTORS, on, strict=True) if flag]
    # Three of the runs are rows of the table.
    same = [row for row in ROWS[:-1] if row_config(row, "photos") in runs.values()]
    assert same == ["new_network", "dimension_priors", "multi_scale"]


def test_arguments_of_get_config():
    for argument, part in (
        ({"dataset": "emojis"}, "voc, emoji, photos"),
        ({"length": "long"}, "length is 'long'"),
        ({"yolo_schedule": "yolo"}, "yolo_schedule is 'yolo'; it can be paper160 or, with dataset=voc, yolov1"),
        ({"yolo_schedule": "yolov1", "dataset": "emoji"}, "with dataset=voc"),
    ):
        with pytest.raises(UserError, match=part):
            configs.load(str(FILE), argument)
    long, short = (configs.load(str(FILE), {"length": length}) for length in ("1", "1e-3"))
    assert (long.epochs, short.epochs, short.pretraining.epochs) == (160, 0.16, 0.01)
    emoji = configs.load(f"{FILE}:yolo", {"dataset": "emoji", "length": "1e-9", "model.side": "5"})
    assert (emoji.steps, emoji.pretraining.steps, emoji.epochs) == (1, 1, 0)


def test_the_schedule_of_yolo_v1():
    """That of its cfg, for the rows on its network alone; its rates add up to six times those of the paper's recipe."""
    rows = {row: configs.load(f"{FILE}:{row}", {"yolo_schedule": "yolov1"}) for row in ("yolo", "convolutional")}
    assert rows["convolutional"] == row_config("convolutional")
    rates = {}
    for name, config, steps in (("yolov1", rows["yolo"], 40_000), ("paper160", row_config("yolo"), 160 * 16551 // 64)):
        assert configs.steps_of(config, 16551) == steps
        rate = jax.vmap(schedule.learning_rate(config.optimizer), (0, None))
        rates[name] = np.asarray(rate(np.arange(steps), np.array([0, steps])), np.float64)
    ends, values = (200, 400, 600, 20_000, 30_000, 40_000), (5e-4, 1.25e-3, 2.5e-3, 5e-3, 5e-4, 5e-5)
    plain = [value for end, start, value in zip(ends, (0, *ends), values, strict=False) for _ in range(end - start)]
    np.testing.assert_allclose(
        rates["yolov1"][:-1], plain[1:], rtol=1e-5
    )  # the update before has the number of its end
    assert rates["yolov1"].sum() / rates["paper160"].sum() == pytest.approx(6.3, abs=0.05)


# At full size, nothing computed.


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The tiny VOC of two of VOC's classes, and labelled pictures."""
    folder = tmp_path_factory.mktemp("data")
    tiny.make_voc(folder / "voc")
    for path in (folder / "voc/Annotations").iterdir():
        text = path.read_text()
        path.write_text(text.replace(tiny.CLASSES[0], MODULE.voc.CLASSES[0]).replace(tiny.CLASSES[1], "dog"))
    for split in ("train", "validation"):
        for number, name in enumerate(("a", "b")):
            (folder / "labelled" / split / name).mkdir(parents=True)
            noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(noise).save(folder / "labelled" / split / name / "0.jpg")
    return folder


def on_tiny_data(c, data):
    """The same experiment on the data of the fixture."""
    c.evaluation.may_share_pictures = True
    if c.task == "detection":
        c.data.source = c.evaluation.source = f"voc:{data / 'voc'}"
        c.data.split, c.evaluation.split = "train", "val"
    else:
        c.data.source = f"folders:{data / 'labelled'}"
    if c.pretraining:
        on_tiny_data(c.pretraining, data)
    return c


def trace_step(config):
    """Shapes of the state after one training step; nothing is computed."""
    task = make_task(configs.complete(config))
    optimizer, update = training.make_update(task)
    size = config.image_size
    images = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    variables = jax.eval_shape(task.model.init, jax.random.key(0), images)
    blank = jax.tree.map(lambda leaf: np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape), variables)
    fresh = jax.eval_shape(lambda: state.create(blank, optimizer, config.optimizer.average_decay > 0))
    for size in {task.sizes()[0], task.sizes()[-1]}:
        shapes = (fresh, jax.eval_shape(partial(task.blank_batch, size)))
        after, metrics = jax.eval_shape(
            update,
            *jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), shapes),
            jax.ShapeDtypeStruct((2,), np.int32),
        )
        assert jax.tree.map(lambda x: x.shape[1:], after) == jax.tree.map(lambda x: x.shape, fresh)
        assert metrics["loss"].shape == (1,)
    return fresh


def row_cost(config):
    """What the network costs; how many priors it has is known before they are."""
    count = 9 if config.model.priors == "hand_picked" else config.model.num_anchors
    network = describe(config, classes=MODULE.voc.CLASSES, anchors_cells=((1.0, 1.0),) * count)
    return cost(build_model(network), network.image_size)


@pytest.mark.parametrize("row", [row for row in ROWS if row != PATH[-1]])
def test_every_row_compiles_at_full_size(row, data):
    config = on_tiny_data(row_config(row), data)
    fresh, expected = trace_step(config), row_cost(config)
    assert sum(leaf.size for leaf in jax.tree.leaves(fresh.params)) == expected.parameters
    assert expected.gflop == pytest.approx(MODULE.DARKNET_GFLOP[row], abs=0.005)


def test_the_last_row_costs_what_darknet_says():
    assert row_cost(row_config(PATH[-1])).gflop == pytest.approx(MODULE.DARKNET_GFLOP[PATH[-1]], abs=0.005)


def test_every_classifier_compiles_at_full_size(data):
    stages = {}
    for row in ROWS:
        stages |= {stage.name: stage for stage in ablation._chain(row_config(row))}
    assert len(stages) == 5
    for stage in stages.values():
        trace_step(on_tiny_data(stage, data))


# Tiny, through the command.

SMALL = """
import sys
sys.path.insert(0, {folder!r})
from ablation import *
import ablation
from tests.training.test_ablation import on_tiny_data
from pathlib import Path

def get_config(row="hi_res_detector", rate=0.1):
    c = small(on_tiny_data(ablation.get_config(row), Path({data!r})))
    c.image_size = 96 if c.model.architecture == "yolo_v2" else 64
    c.multi_scale = (64, 96) if c.multi_scale else ()
    c.evaluation.image_size = 160 if c.evaluation.image_size else 0
    c.model.side = 7 if c.model.architecture == "yolo_v2" else 2
    c.pretraining.optimizer.learning_rate = rate
    return c

def small(c):
    c.steps, c.epochs, c.batch_size = 2, 0, 2
    c.model.width = 1 / 64
    c.image_size = 32 if c.image_size == 224 else 64
    if c.pretraining:
        small(c.pretraining)
    return c
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory, data):
    """A config file of tiny rows."""
    path = tmp_path_factory.mktemp("config") / "small.py"
    path.write_text(SMALL.format(folder=str(FILE.parent), data=str(data)))
    return path


def command(small, workdir, *arguments):
    return ("ablation", "--config", small, "--workdir", workdir, *arguments)


@pytest.fixture(scope="module")
def filled(small, tmp_path_factory):
    """A workdir with three rows; nobody may write into it."""
    workdir = tmp_path_factory.mktemp("ablation")
    ablation.ablation(str(small), workdir, rows=["hi_res_detector", "yolo", "multi_scale"])
    return workdir


def read_table(workdir) -> dict:
    return {line["row"]: line for line in json.loads((workdir / "table.json").read_text())["rows"]}


def test_rows_are_trained_judged_and_tabled(filled):
    table = read_table(filled)
    assert list(table) == ROWS
    for row in ROWS:
        done = row in ("yolo", "multi_scale", "hi_res_detector")
        assert (table[row]["voc07_ap50"] is not None) == (table[row]["training_s"] is not None) == done
        assert table[row]["paper"] == MODULE.PAPER.get(row, {}).get("voc07_ap50")
    assert {path.name for path in (filled / "rows").iterdir()} == {"yolo", "multi_scale"}
    assert {path.name for path in (filled / "stages/seed0").iterdir()} == {
        *("extraction_no_batch_norm", "darknet19_224", "darknet19_448")
    }
    for name in ("table.md", "table.png", "path.png", "results/hi_res_detector/seed0/report/index.html"):
        assert (filled / name).stat().st_size > 100
    assert "| dimension_priors | 74.4 | +4.8 | – | – |" in (filled / "table.md").read_text()
    ratio = table["hi_res_detector"]["gflop"] / table["multi_scale"]["gflop"]
    assert ratio == pytest.approx((160 / 96) ** 2)  # the same network, judged at its own size
    assert table["yolo"]["seeds"]["0"]["recall50"] == table["yolo"]["recall50"]


def test_what_a_table_cost_is_counted_once(filled):
    """Each run and each stage of pre-training in its own folder; two rows share a run here, and two stages a chain."""
    content, rows = json.loads((filled / "table.json").read_text()), read_table(filled)
    costs = {path.parent: json.loads(path.read_text())["core_s"] for path in filled.rglob("goodput.json")}
    assert {path.relative_to(filled).parts[0] for path in costs} == {"stages", "rows", "results"}
    assert len(costs) == 3 + 2 + 3 and min(costs.values()) > 0
    assert content["core_s"] == pytest.approx(sum(costs.values()))
    stages = {name: cost["core_s"] for name, cost in content["pretraining"].items()}
    assert stages == {path.name: costs[path] for path in (filled / "stages/seed0").iterdir()}
    for row, run in (("yolo", "yolo"), ("multi_scale", "multi_scale"), ("hi_res_detector", "multi_scale")):
        own = costs[filled / f"rows/{run}/seed0"] + costs[filled / f"results/{row}/seed0"]
        assert rows[row]["core_s"] == pytest.approx(own)
    assert "core-hours" in (filled / "table.md").read_text()


def test_a_seed_that_was_not_counted_is_in_no_mean(tmp_path, monkeypatch):
    for seed in (0, 1):
        (tmp_path / f"seed{seed}/net").mkdir(parents=True)
    monkeypatch.setattr(ablation, "core_seconds", lambda place: {"seed0": 3600.0}.get(place.parent.name))
    monkeypatch.setattr(ablation, "_chain", lambda config: [config])
    monkeypatch.setattr(ablation, "training_seconds", lambda place: {"seed0": 60.0, "seed1": 90.0}[place.parent.name])
    settings = SimpleNamespace(stages=tmp_path, designs={"path": ["row"]}, configs={"row": SimpleNamespace(name="net")})
    assert ablation.Ablation._stages(settings, "path") == {"net": StageCost(75.0, 3600.0, counted=1, uncounted=1)}


def test_what_was_not_counted_is_no_zero():
    result = {"run": "rows/seed0", "run_core_s": None, "core_s": 1.0}
    other = {"run": "rows/seed1", "run_core_s": 20.0, "core_s": 3.0}
    settings = Settings(None, {}, {"net": StageCost(75.0, 400.0, 1, 2), "none": StageCost(75.0, None, 0, 3)})
    assert taken_in_all(settings, [{0: result, 1: other}]) == (424.0, 1 + 2 + 3)
    assert [row_core_seconds(each) for each in (result, other)] == [None, 23.0]


def test_what_is_done_is_not_done_again(filled, small, run, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in filled.rglob("result.json")}
    monkeypatch.setattr(ablation, "train", None)
    status, output, _ = run(*command(small, filled, "--rows", "multi_scale,yolo"))
    assert status == 0 and "multi_scale" in output and "76.8" in output
    assert run(*command(small, filled, "--show"))[1] == output
    assert before == {path: path.stat().st_mtime_ns for path in filled.rglob("result.json")}


def test_what_is_refused(filled, small, refused, tmp_path):
    files = {path: path.stat().st_mtime_ns for path in filled.rglob("*") if path.is_file()}
    assert "there is no row 'passthru'; did you mean passthrough?" in refused(
        *command(small, filled, "--rows", "passthru")
    )
    message = refused(*command(small, filled, "--config.optimizer.momentum=0.5"))
    assert "made with other settings (optimizer.momentum: 0.9 -> 0.5)" in message and "yolo" in message
    assert "no config key momentun" in refused(*command(small, filled, "--config.momentun=0.5"))
    assert "0 seeds" in refused(*command(small, filled, "--seeds", "0"))
    stage = refused(
        *command(small, tmp_path / "new", "--rows", "yolo", "--stages", filled / "stages", "--config.rate=0.2")
    )
    assert "extraction_no_batch_norm holds a run with another config (optimizer.learning_rate: 0.1 -> 0.2)" in stage
    message = refused(*command(small, tmp_path / "new", "--stages", filled / "stages/seed0"))
    assert "seed0: holds extraction_no_batch_norm itself" in message and "seedN/NAME" in message
    assert "no such config file" in refused(*command(tmp_path / "none.py", filled))
    (tmp_path / "plain.py").write_text("def get_config(row=None): pass\n")
    assert "plain.py: has no TABLE" in refused(*command(tmp_path / "plain.py", filled))
    assert files == {path: path.stat().st_mtime_ns for path in filled.rglob("*") if path.is_file()}
    assert not (tmp_path / "new/rows/yolo/seed0/checkpoints").exists()


def test_designs_share_their_runs(filled, small, run, tmp_path, monkeypatch):
    """Judging the trained `multi_scale` at its sizes, and as the factorial's run with all switches on."""
    shutil.copytree(filled, tmp_path / "all")
    monkeypatch.setattr(training._Run, "_steps", None)  # nothing is trained
    everything = "+".join(("base", *MODULE.FACTORS))
    for design, rows in (("sizes", "multi_scale@64,multi_scale@96"), ("factorial", everything)):
        status, output, error = run(*command(small, tmp_path / "all", "--design", design, "--rows", rows))
        assert status == 0, error
        assert (tmp_path / f"all/{design}.md").stat().st_size > 100 and (
            design == "factorial" or "core-hours" in output
        )
    results = tmp_path / "all/results"
    alike = [json.loads((results / row / "seed0/result.json").read_text()) for row in ("multi_scale", everything)]
    assert alike[0]["metrics"] == alike[1]["metrics"] and alike[0]["draws"] == alike[1]["draws"]
    sizes = json.loads((tmp_path / "all/sizes.json").read_text())["sizes"]
    assert [line["size"] for line in sizes] == [64, 96] and all(line["passthrough"] is None for line in sizes)
    assert sizes[1]["multi_scale"] == alike[0]["metrics"]["voc07_ap50"]  # 96 is its own size


@pytest.mark.slow
def test_the_whole_table(filled, small, run, tmp_path):
    shutil.copytree(filled, tmp_path / "all")
    assert run(*command(small, tmp_path / "all"))[0] == 0
    table = read_table(tmp_path / "all")
    assert all(line["voc07_ap50"] is not None for line in table.values())
    assert all(line["change"] is not None for row, line in table.items() if row != "yolo")
    assert (
        len(list((tmp_path / "all/stages/seed0").iterdir())) == 5 and len(list((tmp_path / "all/rows").iterdir())) == 11
    )


# The order of things, nothing trained.

FAKE = """
from yolo9000_jax import config
COLUMNS = ("wide", "large")
TABLE = {"base": (False, False), "wide": (True, False), "large": (True, True)}

def get_config(row="base"):
    c = config.detection()
    c.steps = 1
    c.data.classes = ("a",)
    c.model.width = 2.0 if row != "base" else 1.0
    c.evaluation.image_size = 544 if row == "large" else 0
    return c
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A config file of three rows and the list of what was trained; a row's average precision grows by seed and row."""
    path = tmp_path / "fake.py"
    path.write_text(FAKE)
    trained = []

    def judge(cell):
        place = list(ablation.configs.load_module(str(path)).TABLE).index(cell.row)
        metrics = {"voc07_ap50": 0.1 * (place + cell.seed), "voc_ap50": 0.5, "recall50": 0.25}
        config = cell.config.to_dict()
        return {"metrics": metrics, "parameters": 1, "gflop": 2.0, "training_s": 60.0, "config": config}

    monkeypatch.setattr(ablation, "train", lambda config, run, stages: trained.append((run.parent.name, config.seed)))
    monkeypatch.setattr(ablation, "judge", judge)
    return str(path), trained


def test_seeds(fake, tmp_path):
    path, trained = fake
    ablation.ablation(path, tmp_path / "runs", seeds=2)
    assert trained == [(run, seed) for seed in (0, 1) for run in ("base", "wide", "wide")]
    table = read_table(tmp_path / "runs")
    assert [line["voc07_ap50"] for line in table.values()] == pytest.approx([0.05, 0.15, 0.25])
    assert table["wide"]["spread"] == pytest.approx(0.1 / 2**0.5) and table["large"]["change"] == pytest.approx(0.1)
    assert "15.0 ± 7.1" in (tmp_path / "runs/table.md").read_text()
    trained.clear()
    ablation.ablation(path, tmp_path / "runs", seeds=3, rows=["large"])
    assert trained == [("wide", 2)]
    # Changes are those of the seeds that both rows have.
    assert read_table(tmp_path / "runs")["large"]["change"] == pytest.approx(0.1)


def test_statistics_of_seeds(fake, tmp_path):
    """By hand: `wide` is better by .1 for every seed, `large` by nothing but noise."""
    path, _ = fake
    ablation.ablation(path, tmp_path / "runs", seeds=3)
    table = read_table(tmp_path / "runs")
    assert table["wide"]["interval"] == pytest.approx([0.1, 0.1]) and table["wide"]["p_holm"] < 1e-6
    assert table["base"]["p"] is None and "p_holm" not in table["base"]
    assert "of each of 2 rows" in (text := (tmp_path / "runs/table.md").read_text()) and "(at .05 / 2)" in text
    one, other = ({seed: {"metrics": {"voc07_ap50": value}} for seed, value in enumerate(values)} for values in WORTH)
    found = compare(one, other)
    assert found["change"] == pytest.approx(0.02) and found["pictures"] is None
    assert found["interval"] == pytest.approx([0.02 - 4.3027 * 0.01 / 3**0.5, 0.02 + 4.3027 * 0.01 / 3**0.5], abs=1e-6)
    draws = {0: {"metrics": {"voc07_ap50": 0.5}, "draws": [0.5] * 40}, 1: {"metrics": {"voc07_ap50": 0.5}, "draws": []}}
    assert compare({0: draws[0]}, {0: draws[0] | {"draws": [0.4] * 40}})["pictures"] == pytest.approx([0.1, 0.1])


WORTH = ((0.31, 0.32, 0.33), (0.30, 0.30, 0.30))  # differences .01, .02, .03


def test_effects_of_a_factorial(fake, tmp_path, monkeypatch, run):
    path, trained = fake
    with open(path, "a") as file:
        file.write(FACTORIAL)
    base = ablation.judge

    def judge(cell):
        result = base(cell._replace(row="base"))
        value = 0.2 + 0.1 * ("b" in cell.row) + 0.02 * cell.seed
        return result | {"metrics": {"voc07_ap50": value, "voc_ap50": value, "recall50": 0.5}}

    monkeypatch.setattr(ablation, "judge", judge)
    status, output, _ = run("ablation", "--config", path, "--workdir", tmp_path / "runs", "--design", "factorial")
    assert status == 0 and len(trained) == 4 and "Lenth" in output
    content = json.loads((tmp_path / "runs/factorial.json").read_text())
    effects = {tuple(line["switches"]): line["effect"] for line in content["effects"]["voc07_ap50"]}
    assert effects == pytest.approx({("wide",): 0, ("large",): 0.1, ("wide", "large"): 0}, abs=1e-12)
    assert (tmp_path / "runs/factorial.png").stat().st_size > 1000
    # With a second seed the intervals are the seeds'; the first one's runs are not made again.
    run("ablation", "--config", path, "--workdir", tmp_path / "runs", "--design", "factorial", "--seeds", "2")
    assert len(trained) == 8 and "Student's" in (tmp_path / "runs/factorial.md").read_text()


FACTORIAL = """
FACTORS = COLUMNS
FACTORIAL = {"run": (False, False), "run+a": (True, False), "run+b": (False, True), "run+a+b": (True, True)}
rows = get_config

def get_config(row="base"):
    c = rows("base" if "run" in row else row)
    c.image_size = 32 * (1 + len(row)) + 320 * ("b" in row)
    return c
"""


def test_designs_that_are_not_there(fake, tmp_path, refused):
    path, _ = fake
    message = refused("ablation", "--config", path, "--workdir", tmp_path / "runs", "--design", "sizes")
    assert "this ablation has no design sizes; it has path" in message


def test_what_others_are_at_comes_last(fake, tmp_path, monkeypatch):
    path, trained = fake
    others, waits = ExitStack(), []
    others.enter_context(lock_workdir(tmp_path / "runs/results/base/seed0"))

    def wait(seconds):
        waits.append(seconds)
        assert [name for name, _ in trained] == ["wide", "wide"] and read_table(tmp_path / "runs")["large"][
            "voc07_ap50"
        ]
        others.close()

    monkeypatch.setattr(ablation.time, "sleep", wait)
    ablation.ablation(path, tmp_path / "runs")
    assert waits == [ablation.RETRY_S] and trained[-1] == ("base", 0)
    assert read_table(tmp_path / "runs")["base"]["voc07_ap50"] == 0


def test_stopping_and_going_on(fake, tmp_path, monkeypatch):
    path, trained = fake
    go_on = ablation.train

    def stop(config, run, stages):
        if run.parent.name == "wide":
            raise UserError("stopped at step 3; the same command carries on from there")
        go_on(config, run, stages)

    monkeypatch.setattr(ablation, "train", stop)
    with pytest.raises(UserError, match="stopped at step 3"):
        ablation.ablation(path, tmp_path / "runs")
    assert read_table(tmp_path / "runs")["base"]["training_s"] == 60
    monkeypatch.setattr(ablation, "train", go_on)
    ablation.ablation(path, tmp_path / "runs")
    assert trained == [("base", 0), ("wide", 0), ("wide", 0)]


def test_a_result_that_is_none(fake, tmp_path):
    path, _ = fake
    ablation.ablation(path, tmp_path / "runs", rows=["base"])
    result = tmp_path / "runs/results/base/seed0/result.json"
    for text in ("", "{}", "[1]", '{"config": 3}'):
        result.write_text(text)
        with pytest.raises(UserError, match="result.json"):
            ablation.ablation(path, tmp_path / "runs", rows=["base"])


def test_training_time_counts_each_step_once(tmp_path):
    assert ablation.training_seconds(tmp_path) == 0
    config = configs.detection()
    config.batch_size = 8
    configs.save(config, tmp_path / "config.json")
    speeds = [(1, 4), (10, 8), (20, 8), (11, 2), (20, 16)]  # stopped after step 10 had been saved
    lines = [{"step": step, "loss": 1.0, "images_per_s": speed} for step, speed in speeds] + [
        {"step": 20, "voc_ap50": 0.5}
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert ablation.training_seconds(tmp_path) == pytest.approx(2 + 9 + 4 + 4.5)


def test_darknets_figures_stand_beside_full_size_networks_only():
    full, narrow = ({row: row_config(row, dataset) for row in ROWS} for dataset in ("voc", "emoji"))
    rows = {row: {} for row in ROWS}
    summary = summarise(MODULE, rows)
    costs = [line | {"darknet_gflop": 1.0} for line in summary]
    assert "Darknet's" in make_table(Settings(MODULE, full, {}), costs, rows).columns
    table = make_table(Settings(MODULE, narrow, {"darknet19_128": StageCost(75.0, 3600.0, 2)}), costs, rows)
    assert (
        "Darknet's" not in table.columns
        and "darknet19_128 1m15s (0.50 core-hours)" in table.note
        and "width 0.25" in table.note
    )


def test_rows_below_the_path_are_compared_with_their_base():
    """And not with the row above them; neither are those of the path with them."""
    value = {row: 0.01 * place**2 for place, row in enumerate(ROWS)}
    metrics = {row: {"voc07_ap50": value[row], "voc_ap50": 0.5, "recall50": 0.25} for row in ROWS}
    rows = {row: {0: {"metrics": metrics[row], "training_s": 60.0}} for row in ROWS}
    summary = summarise(MODULE, rows)
    for line, above in zip(summary, [None, *ROWS], strict=False):
        base = MODULE.BASES.get(line["row"], above)
        assert line["base"] == base and line["row"] != base
        assert line["change"] == (None if base is None else pytest.approx(value[line["row"]] - value[base]))
    table = make_table(Settings(MODULE, {row: row_config(row, "emoji") for row in ROWS}, {}), summary, rows)
    assert "| priors_only (on new_network) |" in table.markdown() and "| multi_scale |" in table.markdown()
