"""The training loop: what it leaves, carrying on, refusing, stopping, learning."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, nullcontext
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image

from tests import tiny
from tests.helpers import ROOT
from yolo9000_jax import config as configs
from yolo9000_jax.errors import Stopped, UserError
from yolo9000_jax.report.coco import NAMES
from yolo9000_jax.tasks.detection import Detection
from yolo9000_jax.training import loop as training
from yolo9000_jax.training.metrics import Metrics
from yolo9000_jax.training.profile import Profile
from yolo9000_jax.training.start import take_fitting
from yolo9000_jax.workdir.checkpoints import Checkpoints, load_variables, read_scores
from yolo9000_jax.workdir.facts import load_best, load_facts
from yolo9000_jax.workdir.lock import lock_workdir


def refused(action, *arguments, kind=UserError, **options) -> str:
    with pytest.raises(kind) as caught:
        action(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def stopped(action, *arguments, **options) -> str:
    return refused(action, *arguments, kind=Stopped, **options)


def saved_steps(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def saved_state(workdir, step):
    checkpoints = Checkpoints(workdir)
    state = checkpoints.raw(step)
    checkpoints.close()
    return state


def snapshot(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows(workdir):
    def refuse(name):
        raise ValueError(f"{name} is not JSON")

    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


@pytest.fixture(scope="module")
def source(trained):
    return f"voc:{trained.parent / 'data'}"


# What a run leaves.


def test_metrics(trained):
    found = rows(trained)
    assert [row["step"] for row in found] == [2, 4, 6, 6]
    for row in found[:3]:
        assert row["images_per_s"] > 0 and np.isfinite(row["loss"])
        parts = [row[f"loss_{part}"] for part in ("xy", "wh", "object", "class")]
        assert row["loss"] == pytest.approx(sum(parts), rel=1e-3)
    assert [row["learning_rate"] for row in found[:3]] == pytest.approx([16e-3 / 81, 1e-5, 1e-5], rel=1e-3)
    assert set(found[3]) - NAMES.keys() == {"step", "voc_ap50", "voc07_ap50", "recall50"} and "coco_ap" in found[3]


def test_pictures_and_curves(trained):
    with Image.open(trained / "first_batch.png") as image:
        assert min(image.size) > 64
    page = (trained / "report/index.html").read_text()
    assert "Learning curves" in page and "goodput" in page and "learning_rate" in page and "model.width" in page
    metrics = json.loads((trained / "report/metrics.json").read_text())
    assert metrics["images"] == 8 and metrics["step"] == 6
    (events,) = (trained / "tensorboard").glob("events.out.tfevents*")
    assert b"learning_rate" in events.read_bytes() and b"voc_ap50" in events.read_bytes()


def test_the_config_is_what_was_asked_and_the_facts_what_came_of_it(trained, source):
    config = configs.read(trained / "config.json")
    assert config.to_dict() == configs.complete(tiny.tiny_config(source)).to_dict()
    assert config.data.max_boxes == 0 and config.model.anchors_cells == ()
    facts = load_facts(trained)
    assert facts.network.classes == tiny.CLASSES and len(facts.network.anchors_cells) == 2
    assert facts.network.task == "detection" and facts.network.image_size == 64
    assert (facts.run.max_boxes, facts.run.best_by) == (1, "voc_ap50")
    assert [(phase.name, phase.start, phase.steps) for phase in facts.run.phases] == [("", 0, 6)]


def test_each_size_is_compiled_once(trained):
    """Also after the steps compiled at the start: their arguments must be laid out as the loop's."""
    counts = json.loads((trained.parent / "compilations.json").read_text())
    assert counts["jit(_fun)"] == 2  # what pmap calls the step; image_size 64 and 96
    assert counts["jit(init)"] == counts["jit(_apply)"] == 1


def test_sizes_are_drawn_for_each_stretch_of_steps(trained):
    task = Detection(configs.read(trained / "config.json"))
    sizes = [batch["images"].shape[1] for batch in task.batches(0, 6)]
    assert len(sizes) == 6 and set(sizes) == {64, 96}
    assert sizes[::2] == sizes[1::2]
    assert [batch["images"].shape[1] for batch in task.batches(3, 6)] == sizes[3:]


# Carrying on.


def test_resumed_run_is_the_same_bit_for_bit(trained, source, tmp_path, monkeypatch, said):
    real = training.next_batch

    def interrupt(batches, task, number):
        if number == 3:
            raise KeyboardInterrupt
        return real(batches, task, number)

    config = tiny.tiny_config(source)
    with monkeypatch.context() as patch:
        patch.setattr(training, "next_batch", interrupt)
        message = stopped(training.train, config, tmp_path)
    assert message == "stopped at step 3; the same command carries on from there"
    assert saved_steps(tmp_path) == [3]

    final = training.train(config, tmp_path)
    assert f"continuing {tmp_path} from step 3" in said
    assert int(final.step) == 6
    jax.tree.map(np.testing.assert_array_equal, saved_state(tmp_path, 6), saved_state(trained, 6))
    jax.tree.map(np.testing.assert_array_equal, final.params, saved_state(trained, 6)["params"])
    assert [row["step"] for row in rows(tmp_path)] == [2, 3, 4, 6, 6]  # what came before the stop is not lost
    assert not np.array_equal(saved_state(trained, 6)["params"]["boxes"]["bias"], np.zeros(14, np.float32))


def test_workdir_in_use(trained, source, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    with lock_workdir(tmp_path / "run"):
        before = snapshot(tmp_path / "run")
        message = refused(training.train, tiny.tiny_config(source), tmp_path / "run")
        assert snapshot(tmp_path / "run") == before
    assert f"{tmp_path / 'run'}: process {os.getpid()} on " in message


def test_finished_run_is_left_as_it_is(trained, source, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    final = training.train(tiny.tiny_config(source), tmp_path / "run")
    assert int(final.step) == 6
    assert rows(tmp_path / "run") == rows(trained)


def test_workdir_of_another_experiment(trained, source, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    before = snapshot(tmp_path / "run")
    config = tiny.tiny_config(source)
    config.model.width = 0.5
    config.log_every = 3  # may differ
    message = refused(training.train, config, tmp_path / "run")
    assert f"{tmp_path / 'run'} holds a run with another config (model.width: 0.0625 -> 0.5)" in message
    assert "at step 6: its network stays as it is: to start anew from its weights give " in message
    assert f"--config.init_from={tmp_path / 'run'} and another --workdir" in message and "--extend" not in message
    assert snapshot(tmp_path / "run") == before


@pytest.mark.parametrize(
    "changes, what, further",
    [
        ({"steps": 10}, "steps: 6 -> 10", "--extend NAME --config.steps=4 (4 more), "),
        ({"steps": 4}, "steps: 6 -> 4", "--extend NAME and how many --config.steps more, "),
        (
            {"steps": 0, "epochs": 9},
            "epochs: 0.0 -> 9.0; steps: 6 -> 0",
            "--extend NAME and how many --config.epochs more, ",
        ),
        ({"optimizer": {"learning_rate": 0.1}}, "optimizer.learning_rate: 0.001 -> 0.1", "--extend NAME, "),
        ({"image_size": 96}, "image_size: 64 -> 96", "--extend NAME, "),
    ],
)
def test_a_finished_run_with_another_config(trained, source, tmp_path, changes, what, further):
    """Both ways to go on are named, with what to type."""
    shutil.copytree(trained, tmp_path / "run")
    config = tiny.tiny_config(source)
    config.update(changes)
    message = refused(training.train, config, tmp_path / "run")
    assert message == (
        f"{tmp_path / 'run'} holds a run with another config ({what}), at step 6: to train further in it give {further}"
        "to start anew from its weights give "
        f"--config.init_from={tmp_path / 'run'} and another --workdir; else give the same config"
    )


def test_whether_pictures_may_be_shared_may_change(trained, source, tmp_path, said):
    shutil.copytree(trained, tmp_path / "run")
    config = tiny.tiny_config(source)
    config.evaluation.split = "train"
    config.evaluation.may_share_pictures = False
    assert "(evaluation.split: " in refused(training.train, config, tmp_path / "run")
    config.evaluation.split = "val"
    assert "8 of the 8 pictures" in refused(training.train, config, tmp_path / "run")


def test_two_devices_agree_with_one(trained, source, tmp_path):
    """Batch norm is shared among the devices here, so the batch's split cannot matter."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    program = "import sys; from tests import tiny; from yolo9000_jax.training.loop import train; "
    program += "train(tiny.tiny_config(sys.argv[1]), sys.argv[2])"
    done = subprocess.run(
        [sys.executable, "-c", program, source, str(tmp_path)],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "2 cpu device(s)" in done.stdout
    one, two = saved_state(trained, 6), saved_state(tmp_path, 6)
    for key in ("params", "batch_stats"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4), one[key], two[key])


def test_batch_that_does_not_divide(monkeypatch, source, tmp_path):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    message = refused(training.train, tiny.tiny_config(source), tmp_path / "run")
    assert message == "batch_size 8 does not divide among 3 devices; the nearest that do: 6 or 9"
    assert not (tmp_path / "run").exists()


def test_hosts_meet_between_compiling_and_the_first_step(monkeypatch):
    """A host that compiles longer than another is waited for before the step, within which it would be given up."""
    done = []

    class Program:
        def __init__(self, name):
            self.name = name

        def lower(self, state, batch, value):
            return SimpleNamespace(compile=lambda: done.append(f"{self.name} {batch['images'].shape[2]} compiled"))

        def __call__(self, *arguments):
            done.append("done")

    monkeypatch.setattr(training.hosts, "meet", lambda: done.append("met"))
    task = SimpleNamespace(sizes=lambda: (96, 64), blank_batch=lambda size: {"images": np.zeros((8, size, size, 3))})
    account = SimpleNamespace(spending=lambda what: nullcontext())
    task.network = SimpleNamespace(image_size=64)
    config = SimpleNamespace(model=SimpleNamespace(batch_norm_batches=2))
    programs = {"update": Program("step"), "estimate": Program("statistics")}
    run = SimpleNamespace(compiled=False, goodput=account, task=task, config=config, replicated={}, **programs)
    training._Run._compile(run)
    assert run.compiled and done[1:3] == done[4:6] == done[7:] == ["met", "done"]
    assert done[::3] == ["step 96 compiled", "step 64 compiled", "statistics 64 compiled"]


def test_a_run_may_wait_for_another_to_end(tmp_path, monkeypatch, said):
    """As for pre-training that several runs share."""
    monkeypatch.setattr(training, "POLL_S", 0.02)
    ended = threading.Event()

    def hold():
        with lock_workdir(tmp_path):
            holding.set()
            ended.wait(30)

    holding, other = threading.Event(), threading.Thread(target=hold)
    other.start()
    holding.wait(30)
    with ExitStack() as stack, pytest.raises(UserError, match="trains here"):
        training._lock(tmp_path, False, stack)
    threading.Timer(0.3, ended.set).start()
    with ExitStack() as stack:
        training._lock(tmp_path, True, stack)()
        assert ended.is_set()
    other.join()
    assert len(said) == 1 and said[0].startswith("waiting for another run to end: ")


# The loop with a stand-in for the network and its step.


class Judged:
    """A stand-in for evaluation.Evaluation."""

    examples = ()

    def __init__(self, **metrics):
        self.metrics = metrics


@pytest.fixture
def judge(monkeypatch):
    """judge(function): evaluation gives what function() gives; the report is its metrics.json and a picture before."""

    def judge(function):
        def write_page(folder, evaluation, step, workdir):
            folder.mkdir(exist_ok=True)
            (folder / "index.html").write_text("")

        def write(folder, evaluation, step, workdir):
            write_page(folder, evaluation, step, workdir)
            (folder / "metrics.json").write_text(json.dumps(evaluation.metrics | {"step": step}))

        monkeypatch.setattr(Detection, "evaluate", lambda self, model, examples: function())
        monkeypatch.setattr(training, "make_predictor", lambda *arguments: SimpleNamespace())
        monkeypatch.setattr(training, "write_report", write)
        monkeypatch.setattr(training, "write_page", write_page)

    return judge


@pytest.fixture
def loop(monkeypatch, source, judge):
    """run(workdir, losses, weights, **changes): trains with a step that reports losses[i] and sets the weights; its
    evaluations give .5."""

    def run(workdir, losses=(), weights=(), extend="", **changes):
        losses = jnp.float32([*losses, *[1.0] * (10 - len(losses))])
        weights = jnp.float32([*weights, *[1.0] * (10 - len(weights))])

        def make_step(loss, optimizer, rate, average_decay, accumulate):
            def step(state, batch, span):
                params = {"kernel": jnp.full(2, weights[state.step])}
                metrics = {"loss": losses[state.step], "learning_rate": rate(state.step, span)}
                return state.replace(step=state.step + 1, params=params), metrics

            return step

        monkeypatch.setattr(training.step, "make_step", make_step)
        monkeypatch.setattr(Detection, "init", lambda self, seed: {"params": {"kernel": np.zeros(2, np.float32)}})
        config = tiny.tiny_config(source)
        with config.unlocked():
            config.update(
                {"multi_scale": (), "multi_scale_every": 10, "log_every": 10, "checkpoint_every": 2} | changes
            )
        return training.train(config, workdir, extend=extend)

    judge(lambda: Judged(voc_ap50=0.5))
    return run


def test_loss_that_is_not_finite(loop, tmp_path):
    message = refused(loop, tmp_path, [1, 2, 3, 4, float("nan"), 5])
    assert "loss is nan at step 5;" in message and f"last good checkpoint is step 4 in {tmp_path};" in message
    assert "optimizer.learning_rate" in message
    assert saved_steps(tmp_path) == [2, 4]
    assert all(np.isfinite(row["loss"]) for row in rows(tmp_path))


def test_loss_that_is_infinite_at_once(loop, tmp_path):
    assert "loss is inf at step 1; no checkpoint yet;" in refused(loop, tmp_path, [float("inf")])
    assert saved_steps(tmp_path) == []


def test_weights_that_are_not_finite_are_never_saved(loop, tmp_path):
    """The loss of a step is that of the weights before it, so the weights can be bad where it is good."""
    message = refused(loop, tmp_path, weights=[1, 1, 1, float("inf")])
    assert "weights are not finite at step 4;" in message and "step 2 in" in message
    assert saved_steps(tmp_path) == [2]


def test_interrupted_with_bad_weights(loop, tmp_path, monkeypatch):
    def interrupt(batches, task, number):
        if number == 3:
            raise KeyboardInterrupt
        return next(batches)

    monkeypatch.setattr(training, "next_batch", interrupt)
    message = refused(loop, tmp_path, [1, 1, float("nan")], [1, 1, float("nan")])
    assert "not finite at step 3;" in message and saved_steps(tmp_path) == [2]


def terminate(action):
    """`action`, with a SIGTERM before the fourth call of it."""
    calls = []

    def wrapped(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return action(*arguments)

    return wrapped


def test_a_signal_waits_for_the_end_of_the_step(loop, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(
        training.parallel, "shard", terminate(training.parallel.shard)
    )  # within the third step: one batch was compiled with
    assert stopped(loop, tmp_path).startswith("stopped at step 3;")
    assert saved_steps(tmp_path) == [2, 3]
    assert signal.getsignal(signal.SIGTERM) is before and not (tmp_path / "running.json").exists()


def test_a_signal_in_the_last_evaluation(loop, judge, tmp_path, said):
    """What was trained is saved, and running it again makes up for the evaluation."""

    def never():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)

    judge(never)
    assert stopped(loop, tmp_path).startswith("stopped at step 6;")
    judge(lambda: Judged(voc_ap50=0.5))
    for line in ("step 6 of 6 is trained: its evaluation is left to do", "all 6 steps are done: nothing is left to do"):
        loop(tmp_path)
        assert line in said
    assert saved_steps(tmp_path) == [4, 6] and (tmp_path / "report/index.html").is_file()
    assert [row["voc_ap50"] for row in rows(tmp_path) if "voc_ap50" in row] == [0.5]


class Killed(BaseException):
    """Ends a run as SIGKILL does, as far as the run can tell: nothing of it goes on."""


def test_it_is_saved_before_it_is_evaluated(loop, judge, tmp_path):
    """A hard kill in a long evaluation lost all since the last checkpoint."""

    def killed():
        assert saved_steps(tmp_path)[-1] == evaluated[-1]
        raise Killed

    evaluated = [4]
    judge(killed)
    with pytest.raises(Killed):
        loop(tmp_path, evaluate_every=4, checkpoint_every=100)
    assert saved_steps(tmp_path) == [4]
    # The evaluation is made up for, and the next is at the end.
    values = iter([0.1, 0.2])
    judge(lambda: Judged(voc_ap50=next(values)))
    loop(tmp_path, evaluate_every=4, checkpoint_every=100)
    assert [row for row in rows(tmp_path) if "voc_ap50" in row] == [
        {"step": 4, "voc_ap50": 0.1},
        {"step": 6, "voc_ap50": 0.2},
    ]


def test_a_report_that_was_cut_off_is_made_again(loop, judge, tmp_path, monkeypatch, said):
    """report/metrics.json was written before the pictures and read as "done"."""
    judge(lambda: Judged(voc_ap50=0.5))

    def killed(*arguments, **options):
        (tmp_path / "report").mkdir(exist_ok=True)
        (tmp_path / "report/index.html").write_text("")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training, "write_report", killed)
        with pytest.raises(Killed):
            loop(tmp_path)
    loop(tmp_path)
    assert "step 6 of 6 is trained: its evaluation is left to do" in said
    assert json.loads((tmp_path / "report/metrics.json").read_text()) == {"voc_ap50": 0.5, "step": 6}
    assert (tmp_path / "report/index.html").is_file()
    assert [row["voc_ap50"] for row in rows(tmp_path) if "voc_ap50" in row] == [0.5]


def test_lines_of_steps_that_are_done_again_come_once(loop, tmp_path, monkeypatch):
    """Also where the last line was cut off by the kill."""
    real = training.next_batch

    def killed(batches, task, number):
        if number == 5:
            raise Killed
        return real(batches, task, number)

    with monkeypatch.context() as patch:
        patch.setattr(training, "next_batch", killed)
        with pytest.raises(Killed):
            loop(tmp_path, log_every=1, checkpoint_every=3)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    assert [row["step"] for row in map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines()[:-1])] == [
        *range(1, 6)
    ]
    loop(tmp_path, log_every=1, checkpoint_every=3)
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 4, 5, 6, 6]


def test_best_and_latest_checkpoints(loop, judge, tmp_path):
    values = iter([0.1, 0.9, 0.3])
    judge(lambda: Judged(voc_ap50=next(values), recall50=None, images=8, per_class={}))
    loop(tmp_path, weights=range(6), evaluate_every=2, checkpoint_every=1, log_every=1)
    assert saved_steps(tmp_path) == [4, 5, 6]
    assert [row for row in rows(tmp_path) if "voc_ap50" in row] == [
        {"step": 2, "voc_ap50": 0.1},
        {"step": 4, "voc_ap50": 0.9},
        {"step": 6, "voc_ap50": 0.3},
    ]
    assert load_variables(tmp_path, "voc_ap50")[0]["params"]["kernel"].tolist() == [3.0, 3.0]  # of step 4


def test_an_evaluation_without_numbers(loop, judge, tmp_path, said):
    """A validation set without boxes has no precision: "-", null, no line that is not JSON, and the run is done."""
    judge(lambda: Judged(voc_ap50=None, recall50=None, images=8))
    loop(tmp_path, evaluate_every=2)
    assert "step 6  voc_ap50 -  recall50 -" in said
    assert json.loads((tmp_path / "report/metrics.json").read_text())["voc_ap50"] is None
    assert read_scores(tmp_path) == {2: {}, 4: {}, 6: {}} and load_variables(tmp_path, "voc_ap50")[1] == 6
    loop(tmp_path, evaluate_every=2)
    assert said[-1] == "all 6 steps are done: nothing is left to do"


def test_numbers_that_json_has_not(tmp_path):
    metrics = Metrics(tmp_path, 1, 1)
    metrics.write(1, {"loss": 1.0, "average_iou": float("nan"), "recall": float("inf")})
    metrics.close()
    assert rows(tmp_path) == [{"step": 1, "loss": 1.0, "average_iou": None, "recall": None}]


def test_a_batch_larger_than_the_set(loop, tmp_path, said):
    loop(tmp_path, batch_size=16, steps=1)
    assert any(line.startswith("batch_size 16 is more than the 8 pictures there are") for line in said)


class FakeTime:
    """A clock that stands still but for what a test adds, and a watch that finds the devices idle since then."""

    def __init__(self):
        self.now, self.done = 1000.0, None
        self.close = lambda: None

    def sent(self, result):
        self.done = self.now

    def idle_since(self):
        return self.done


@pytest.fixture
def clock(monkeypatch):
    fake = FakeTime()
    real = training.Goodput
    monkeypatch.setattr(training, "Goodput", lambda workdir: real(workdir, lambda: fake.now, fake))
    return fake


def slow(clock, monkeypatch, input_s, step_s):
    """Gives every batch, and every step on the devices, so many seconds of the fake clock."""
    real_batch, real_average = training.next_batch, training._Run._average

    def next_batch(batches, task, number):
        clock.now += input_s
        return real_batch(batches, task, number)

    def average(run, number):
        clock.now += step_s * len(run.pending)
        return real_average(run, number)

    monkeypatch.setattr(training, "next_batch", next_batch)
    monkeypatch.setattr(training._Run, "_average", average)


def test_where_the_time_goes(loop, tmp_path, monkeypatch, clock, said):
    """The sums are the fake clock's; the first batch is a part of starting, and the first step is looked at twice."""
    slow(clock, monkeypatch, input_s=3.0, step_s=2.0)
    loop(tmp_path, log_every=1)
    account = json.loads((tmp_path / "goodput.json").read_text())
    spent = {state: seconds for state, seconds in account["seconds"].items() if seconds}
    assert spent == {"starting": 3.0, "waiting": 15.0, "steps": 14.0}
    assert sum(spent.values()) == clock.now - 1000 and account["goodput"] == pytest.approx(14 / 32, abs=1e-4)
    found = [row for row in rows(tmp_path) if "loss" in row]
    assert [row["waiting_share"] for row in found] == pytest.approx([0] + [3 / 5] * 5)
    assert [row["images_per_s"] for row in found] == pytest.approx([8 / 4] + [8 / 5] * 5, rel=1e-4)
    (warning,) = [line for line in said if line.startswith("the input sets the pace")]
    assert "43% of the last 14 s" in warning and "got 1.7 images/s and could take 3.0:" in warning


def test_an_input_that_keeps_up(loop, tmp_path, monkeypatch, clock, said):
    slow(clock, monkeypatch, input_s=0.1, step_s=20.0)
    loop(tmp_path, log_every=1)
    assert not [line for line in said if "sets the pace" in line]


def test_what_a_kill_loses_is_in_the_account(loop, tmp_path, monkeypatch, clock):
    """Steps 5 and 6 are done twice, and the machine was away for 100 s."""
    slow(clock, monkeypatch, input_s=0.0, step_s=2.0)
    with monkeypatch.context() as patch:
        real = training.next_batch

        def killed(batches, task, number):
            if number == 6:
                raise Killed
            return real(batches, task, number)

        patch.setattr(training, "next_batch", killed)
        with pytest.raises(Killed):
            loop(tmp_path, log_every=1, checkpoint_every=4, steps=7)
    clock.now += 100
    loop(tmp_path, log_every=1, checkpoint_every=4, steps=7)
    account = json.loads((tmp_path / "goodput.json").read_text())
    spent = account["seconds"]
    assert (account["starts"], account["away_s"], spent["lost"]) == (2, 100.0, 4.0)
    assert spent["steps"] == 2 * 7 + 2 * 2  # the first step after each start is looked at twice
    assert sum(spent.values()) + account["away_s"] == clock.now - 1000 == account["until"] - 1000


@pytest.mark.parametrize("fails", ["start_trace", "stop_trace"])
def test_a_profile_that_cannot_be_written_ends_no_run(tmp_path, monkeypatch, said, fails):
    def fail(*_):
        raise RuntimeError("No space left\non device")

    calls = []
    for name in ("start_trace", "stop_trace"):
        monkeypatch.setattr(jax.profiler, name, fail if name == fails else lambda *_: calls.append(1))
    monkeypatch.setattr("yolo9000_jax.training.profile.is_in_bucket", lambda path: True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    profile = Profile(tmp_path, (1, 2))
    for number in (1, 2, 3, 4):
        profile.before(number, None)
    profile.close()
    assert not list(tmp_path.iterdir())  # nothing is left of what a bucket was to get
    reason = "the profile cannot be written (No space left on device); the run goes on without it"
    assert said == [f"{tmp_path / 'profile'}: {reason}"] and len(calls) == (fails == "stop_trace")


def test_a_profile_of_some_steps(loop, tmp_path, said):
    loop(tmp_path, profile_steps=(2, 3))
    (record,) = (tmp_path / "profile").rglob("*.xplane.pb")
    assert record.stat().st_size > 1000 and f"profile in {tmp_path / 'profile'}" in said
    message = refused(loop, tmp_path / "other", profile_steps=(3, 2))
    assert message == "config: profile_steps is (3, 2): give the first and the last step, as (100, 110)"


def test_detections_are_shown_every_few_evaluations(loop, judge, tmp_path, monkeypatch, said):
    asked = []
    monkeypatch.setattr(training, "draw_examples", lambda examples, names: np.full((8, 8, 3), len(asked), np.uint8))

    class WithExamples(Judged):
        examples, class_names = ("one",), ("disc",)

    judge(lambda: WithExamples(voc_ap50=0.5))
    replaced = Detection.evaluate
    monkeypatch.setattr(
        Detection, "evaluate", lambda self, model, examples: asked.append(examples) or replaced(self, model, examples)
    )
    loop(tmp_path, evaluate_every=1 / 6)  # of six steps
    assert [examples > 0 for examples in asked] == [True, False, False, True, False, True]
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert events.read_bytes().count(b"\x89PNG") == 6 and b"detections" in events.read_bytes()
    assert said.count(f"so far: {tmp_path / 'report/index.html'}") == 5


def test_a_disk_that_is_full(loop, tmp_path, monkeypatch):
    """One line; what is saved stays, and once there is space the run goes on from it."""
    real = ocp.CheckpointManager.save

    def full(self, *arguments, **options):
        if self.latest_step() == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ocp.CheckpointManager, "save", full)
        message = refused(loop, tmp_path)
    assert message.startswith(f"{tmp_path}/checkpoints: a checkpoint cannot be written (")
    assert "(no space left on the disk); step 4 is kept: free some space, and the same command carries on" in message
    assert saved_steps(tmp_path)[:2] == [2, 4]
    assert int(loop(tmp_path).step) == 6


@pytest.mark.parametrize("file", ["metrics.jsonl", "tensorboard"])
def test_no_space_for_metrics(tmp_path, file):
    """TensorBoard's own writer told it by a traceback from a thread."""
    metrics = Metrics(tmp_path, 1, 1)
    if file == "tensorboard":
        metrics._board.close()
        metrics._board._writer = open("/dev/full", "wb")  # noqa: SIM115
    else:
        metrics._file.close()
        metrics._file = open("/dev/full", "w")  # noqa: SIM115
    assert "No space left on device): free some space" in refused(metrics.write, 1, {"loss": 1.0})
    metrics.close()


@pytest.mark.parametrize("name", ["metrics.jsonl", "tensorboard", "checkpoints"])
def test_a_workdir_that_holds_something_else(loop, tmp_path, name):
    if name == "metrics.jsonl":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("")
    assert f"{tmp_path}" in (message := refused(loop, tmp_path)) and name in message and "free some space" in message


# Classes and data that change, longer runs.


def renamed(source, folder, names):
    """The data set at `folder`, its class called as `names` says."""
    shutil.copytree(source.removeprefix("voc:"), folder)
    for path in (folder / "Annotations").iterdir():
        text = path.read_text()
        for old, new in names.items():
            text = text.replace(f"<name>{old}</name>", f"<name>{new} </name>")
        path.write_text(text.replace(" </name>", "</name>"))
    return f"voc:{folder}"


def test_names_are_never_taken_from_the_data_again(loop, tmp_path, source):
    """They were, and written into config.json before anything was compared: labels changed places in silence."""
    data = renamed(source, tmp_path / "data", {})
    loop(tmp_path / "run", data={"source": data})
    shutil.rmtree(tmp_path / "data")
    before = snapshot(tmp_path / "run")
    for names, what in (
        ({"disc": "rectangle", "rectangle": "disc"}, "no longer those that the run"),
        ({"disc": "zebra"}, "'disc' was at the place of 'rectangle'"),
    ):
        renamed(source, tmp_path / "data", names)
        message = refused(loop, tmp_path / "run", data={"source": data})
        assert what in message, message
        shutil.rmtree(tmp_path / "data")
    assert snapshot(tmp_path / "run") == before
    assert load_facts(tmp_path / "run").network.classes == tiny.CLASSES


def test_data_may_move_but_not_change(loop, tmp_path, source, said):
    loop(tmp_path / "run")
    moved = renamed(source, tmp_path / "elsewhere", {})
    loop(tmp_path / "run", data={"source": moved})
    assert "all 6 steps are done: nothing is left to do" in said
    (tmp_path / "elsewhere/ImageSets/Main/train.txt").write_text("0\n1\n2\n3\n")
    message = refused(loop, tmp_path / "run", data={"source": moved})
    assert message.startswith("data.source: ") and "--extend NAME here, or --config.init_from=" in message


def test_a_finished_run_is_extended(loop, judge, tmp_path, said):
    judge(lambda: Judged(voc_ap50=0.5))
    rates = lambda: [row["learning_rate"] for row in rows(tmp_path) if "loss" in row]  # noqa: E731
    loop(tmp_path, log_every=1)
    first = rates()
    message = refused(loop, tmp_path, log_every=1, steps=4)
    assert "another config (steps: 6 -> 4)" in message and "give --extend NAME and how many" in message
    state = loop(tmp_path, log_every=1, steps=4, extend="more")
    assert int(state.step) == 10
    assert len(rates()) == 10 and rates()[:6] == first
    assert rates()[6:] == pytest.approx([1e-3 / 81, 16e-3 / 81, 1e-5, 1e-5], rel=1e-3)  # a schedule of its own
    assert [(phase.name, phase.start, phase.steps) for phase in load_facts(tmp_path).run.phases] == [
        ("", 0, 6),
        ("more", 6, 4),
    ]
    before = snapshot(tmp_path)
    loop(tmp_path, log_every=1, steps=4, extend="more")  # the same command: it is done
    assert said[-1] == "all 10 steps are done: nothing is left to do"
    assert {path: content for path, content in snapshot(tmp_path).items() if "tensorboard" not in str(path)} == {
        path: content for path, content in before.items() if "tensorboard" not in str(path)
    }
    assert "extended as more: give --extend more" in refused(loop, tmp_path, log_every=1)
    loop(tmp_path, steps=2, extend="again")
    assert "was extended so before, and as again since" in refused(loop, tmp_path, steps=4, extend="more")


def test_a_run_that_begins_anew_has_no_scores_of_before(loop, tmp_path):
    loop(tmp_path, evaluate_every=2)
    shutil.rmtree(tmp_path / "checkpoints")
    loop(tmp_path)
    assert set(read_scores(tmp_path)) == {6}


def test_broken_scores_stop_a_run_before_it_trains(loop, tmp_path):
    loop(tmp_path)
    (tmp_path / "scores.json").write_text('{"6": {')
    before = snapshot(tmp_path)
    assert "scores.json: cannot be read" in refused(loop, tmp_path)
    assert snapshot(tmp_path) == before


def test_names_of_extensions(loop, tmp_path, said):
    loop(tmp_path)
    assert "a name is made of letters" in refused(loop, tmp_path, extend="../x")
    loop(tmp_path, extend="x", image_size=96)
    assert any("extended as x, by 6 steps from step 6 on (image_size: 64 -> 96)" in line for line in said)


def test_nothing_to_extend(loop, tmp_path):
    assert "holds no run with a checkpoint" in refused(loop, tmp_path / "run", extend="more")


def test_an_extension_of_another_network(loop, tmp_path):
    loop(tmp_path)
    for key, value in (("width", 0.5), ("num_anchors", 3)):
        message = refused(loop, tmp_path, extend="wider", model={key: value})
        assert message.startswith("--extend wider: the network in ") and f"(model.{key}: " in message


def test_the_best_of_an_extension_is_one_of_its_own(loop, judge, tmp_path, source):
    """Its scores may be of another size or other data; the best of the phase before stays."""
    data = renamed(source, tmp_path / "data", {})
    options = {"evaluate_every": 4, "weights": range(20), "data": {"source": data}}
    values = iter([0.9, 0.1, 0.3, 0.2, 0.2])
    loop_with = lambda **more: loop(tmp_path / "run", **options, **more)  # noqa: E731
    judge(lambda: Judged(voc_ap50=next(values)))
    loop_with()
    more = {"steps": 10, "checkpoint_every": 1, "extend": "larger"}
    loop_with(**more)
    _, step, facts = load_best(tmp_path / "run")
    assert facts.run.starts == (0, 6) and step == 8
    steps = saved_steps(tmp_path / "run")
    assert {4, 8} < set(steps)
    # A command that is refused after it has opened the checkpoints deletes none.
    (tmp_path / "data/ImageSets/Main/train.txt").write_text("0\n1\n2\n3\n")
    assert refused(loop_with, **more).startswith("data.source: ")
    assert saved_steps(tmp_path / "run") == steps


def test_an_extension_settles_the_boxes_anew(loop, tmp_path):
    loop(tmp_path)
    loop(tmp_path, extend="more", data={"max_boxes": 5})
    assert load_facts(tmp_path).run.max_boxes == 5


def test_checkpoints_without_facts(loop, tmp_path):
    loop(tmp_path)
    for name in ("network.json", "config.json"):
        (tmp_path / name).unlink()
    assert "has checkpoints, but no network.json" in refused(loop, tmp_path)


def test_minutes_become_steps(loop, tmp_path, monkeypatch):
    monkeypatch.setattr(training._Run, "_seconds_per_step", lambda self: 6.0)
    state = loop(tmp_path, losses=[1.0] * 40, weights=[1.0] * 40, steps=0, minutes=2.5, checkpoint_every=10)
    assert int(state.step) == 25 and load_facts(tmp_path).run.phase.steps == 25
    assert configs.read(tmp_path / "config.json").minutes == 2.5


def test_the_time_to_go_is_not_said_before_it_is_known(loop, tmp_path, said):
    loop(tmp_path, log_every=2)
    lines = [line for line in said if line.startswith("step ") and "loss" in line]
    assert lines[0] == "step 1/6  loss 1.000"
    assert all("ETA" in line for line in lines[1:-1]) and "images/s" in lines[-1]


def test_one_state_lies_on_the_devices(source, tmp_path, monkeypatch):
    """3.5 times parameters and momentum did, after the start."""
    found = {}
    real = training.next_batch

    def measure(batches, task, number):
        if number == 2:
            found["live"] = sum(array.nbytes for array in jax.live_arrays())
        return real(batches, task, number)

    before = sum(array.nbytes for array in jax.live_arrays())
    monkeypatch.setattr(training, "next_batch", measure)
    config = tiny.tiny_config(source)
    config.model.width, config.steps = 1 / 8, 3
    config.multi_scale, config.multi_scale_every = (), 10
    state = training.train(config, tmp_path)
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert found["live"] - before < 1.2 * whole


def test_picture_that_goes_away(loop, tmp_path, source, monkeypatch):
    shutil.copytree(source.removeprefix("voc:"), tmp_path / "data")
    real = Detection.batches

    def batches(self, start, stop):
        (tmp_path / "data/JPEGImages/3.jpg").unlink()
        return real(self, start, stop)

    monkeypatch.setattr(Detection, "batches", batches)
    message = refused(loop, tmp_path / "run", data={"source": f"voc:{tmp_path / 'data'}"})
    assert message.startswith("step 0: ") and "3.jpg" in message
    assert str(tmp_path / "data/JPEGImages/3.jpg") in message


def test_workdir_that_cannot_be(loop, tmp_path):
    (tmp_path / "file").write_text("")
    assert f"{tmp_path / 'file'}: cannot make this folder" in refused(loop, tmp_path / "file")


@pytest.mark.parametrize("size", [0, 16, 100])
def test_image_size(loop, tmp_path, size):
    for key, value in (("image_size", size), ("multi_scale", (64, size))):
        assert f"config: {key} is " in refused(loop, tmp_path / "run", **{key: value})
    assert not (tmp_path / "run").exists()


# Starting from other weights.


def test_start_from_other_weights(said):
    fresh = {"params": {"a": np.zeros(2), "b": np.zeros(3)}, "batch_stats": {"m": np.zeros(2)}}
    loaded = {"params": {"a": np.ones(2), "b": np.ones(4), "c": np.ones(1)}, "batch_stats": {"m": np.ones(2)}}
    chosen = take_fitting(fresh, loaded, "there")
    assert chosen["params"]["a"].tolist() == [1, 1] and chosen["batch_stats"]["m"].tolist() == [1, 1]
    assert chosen["params"]["b"].tolist() == [0, 0, 0] and set(chosen["params"]) == {"a", "b"}
    assert said == ["starting from there: 2 of 3 arrays"]
    assert "none of its arrays fits" in refused(take_fitting, fresh, {"params": {"z": np.ones(2)}}, "there")


def test_init_from_what_is_not_there(loop, tmp_path):
    """And afterwards the workdir is still free for the corrected config."""
    assert "typo: no network.json" in refused(loop, tmp_path / "run", init_from=str(tmp_path / "typo"))
    assert not (tmp_path / "run/config.json").exists()


# Learning.


@pytest.mark.usefixtures("optimised")
def test_learns_eight_pictures(tmp_path):
    c = tiny.tiny_config(tiny.make_voc(tmp_path / "data"))
    c.steps = 200
    c.multi_scale, c.multi_scale_every = (), 10
    c.image_size = 96
    c.log_every = 100
    c.model.width = 1 / 8
    c.model.batch_norm_momentum = 0.9
    c.augment.geometry = "none"
    c.augment.flip = 0.0
    c.optimizer.learning_rate = 1e-2
    c.optimizer.schedule = "cosine"
    c.optimizer.burn_in = 20
    c.optimizer.average_decay = 0.9
    c.loss.warmup_images = 160
    training.train(c, tmp_path / "run")
    assert rows(tmp_path / "run")[-1]["voc_ap50"] > 0.95
