"""Checkpoints: the last two and the best stay, nothing is deleted too early, broken ones are named and passed over."""

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

from tests.helpers import ROOT
from yolo9000_jax.errors import UserError
from yolo9000_jax.training.state import create
from yolo9000_jax.workdir.checkpoints import Checkpoints, _hush, load_variables, read_scores, save_variables

OPTIMIZER = optax.trace(0.9)


def state(step, average=False, size=3, drawn=False):
    """A state whose arrays all hold the step's number, or numbers drawn by it; the average is 100 more."""
    full = jax.random.normal(jax.random.key(step), (size,)) if drawn else jnp.full(size, float(step))
    made = create({"params": {"conv": {"kernel": full}}, "batch_stats": {"mean": full}}, OPTIMIZER, average)
    made = made.replace(step=np.asarray(step, np.int32))
    averages = {"params": {"conv": {"kernel": full + 100}}, "batch_stats": {"mean": full + 100}}
    return made.replace(average=averages) if average else made


def saved_steps(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints(tmp_path, "voc_ap50")
    yield made
    made.close()


def save_all(checkpoints, values, **options):
    for step, value in values.items():
        checkpoints.save(state(step, **options))
        if value is not None:
            checkpoints.record(step, {"recall50": 1 - value, "voc_ap50": value})
    checkpoints.wait()


def kernel(workdir, metric="voc_ap50"):
    return load_variables(workdir, metric)[0]["params"]["conv"]["kernel"].tolist()


def break_step(workdir, step):
    """Cuts every file of numbers in half, as a full disk or a lost machine may leave them."""
    for path in (workdir / "checkpoints" / str(step)).rglob("*"):
        if path.is_file() and path.parent.name == "d":
            os.truncate(path, path.stat().st_size // 2)


def change_step(workdir, step):
    """Changes one bit in the file that holds the arrays."""
    files = [path for path in (workdir / "checkpoints" / str(step)).rglob("*") if path.parent.name == "d"]
    path = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def test_the_last_two_and_the_best_stay(checkpoints, tmp_path):
    save_all(checkpoints, {10: 0.1, 20: 0.8, 30: 0.3, 40: 0.2, 50: 0.4})
    assert (checkpoints.best_step, checkpoints.latest_step) == (20, 50)
    checkpoints.close()
    assert saved_steps(tmp_path) == [20, 40, 50]
    assert kernel(tmp_path) == [20.0] * 3
    assert kernel(tmp_path, "recall50") == [40.0] * 3  # the best of those that are there by another number
    assert kernel(tmp_path, "last") == [50.0] * 3
    again = Checkpoints(tmp_path, "voc_ap50")
    save_all(again, {60: 0.9, 70: None, 80: None})
    again.close()
    assert saved_steps(tmp_path) == [60, 70, 80]
    assert read_scores(tmp_path)[20]["voc_ap50"] == 0.8


def test_where_the_last_is_to_be_taken_no_other_stays(tmp_path):
    checkpoints = Checkpoints(tmp_path, "last")
    save_all(checkpoints, {10: 0.9, 20: 0.1, 30: 0.2})
    assert checkpoints.best_step == 30
    checkpoints.close()
    assert saved_steps(tmp_path) == [20, 30]


def test_steps_without_evaluation(checkpoints, tmp_path, capfd):
    save_all(checkpoints, {10: None, 20: None})
    assert kernel(tmp_path) == [20.0] * 3
    save_all(checkpoints, {30: 0.0, 40: None, 50: None, 60: None})
    assert checkpoints.best_step == 30
    checkpoints.close()
    assert saved_steps(tmp_path) == [30, 50, 60]
    assert capfd.readouterr() == ("", "")


def test_saving_a_step_again_deletes_nothing(checkpoints, tmp_path, monkeypatch):
    """It did: the step was deleted first, written in the background, and a kill in between left nothing."""
    save_all(checkpoints, {20: None})
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "checkpoints/20").rglob("*"))
    monkeypatch.setattr(checkpoints._manager, "delete", lambda step: pytest.fail(f"deleted {step}"))
    checkpoints.save(state(20))
    checkpoints.record(20, {"voc_ap50": 0.5})
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "checkpoints/20").rglob("*")) == before
    assert checkpoints.best_step == 20


def test_the_old_goes_only_when_the_new_is_whole(checkpoints, monkeypatch):
    """At every deletion two newer checkpoints, or the best, are there in full."""
    real = checkpoints._manager.delete

    def delete(step):
        whole = [s for s in checkpoints.steps() if checkpoints.raw(s)["step"] == s]
        assert len([s for s in whole if s > step]) >= 2
        real(step)

    monkeypatch.setattr(checkpoints._manager, "delete", delete)
    save_all(checkpoints, {step: None for step in range(1, 7)})
    checkpoints.close()
    assert checkpoints.steps() == [5, 6]


KILLED = """
import sys, time
import numpy as np
from pathlib import Path
from tests.workdir.test_checkpoints import state
from yolo9000_jax.workdir.checkpoints import Checkpoints

checkpoints = Checkpoints(Path(sys.argv[1]))
for step in range(1, 100000):
    checkpoints.save(state(step, size=200_000))
    print(step, flush=True)
"""


def test_killed_while_saving(tmp_path):
    """Whatever moment it is, a whole checkpoint is there: the last one, or the one before it."""
    for moment in (0.0, 0.011, 0.023, 0.04):
        folder = tmp_path / str(moment)
        program = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for line in program.stdout:
            if int(line) == 6:
                time.sleep(moment)
                program.kill()
                break
        last = max([6, *map(int, program.stdout.read().split())])
        program.wait()
        restored = Checkpoints(folder).restore(state(0, size=200_000))
        assert last - 2 <= int(restored.step) <= last + 1
        assert (restored.params["conv"]["kernel"] == restored.step).all()


def test_a_broken_checkpoint_is_named_and_the_one_before_is_taken(checkpoints, tmp_path, said):
    save_all(checkpoints, {10: 0.5, 20: 0.4, 30: 0.9})
    break_step(tmp_path, 30)
    assert kernel(tmp_path) == [20.0] * 3  # reading moves nothing
    assert f"{tmp_path}/checkpoints/30 is broken" in said[-1] and "taking another" in said[-1]
    assert int(checkpoints.restore(state(0)).step) == 20
    assert f"{tmp_path}/checkpoints/30 is broken" in said[-1]
    assert saved_steps(tmp_path) == [10, 20] and (tmp_path / "checkpoints.broken/30").is_dir()
    save_all(checkpoints, {30: None})  # comes again
    assert int(checkpoints.restore(state(0)).step) == 30
    for step in (10, 20, 30):
        if (tmp_path / "checkpoints" / str(step)).is_dir():
            break_step(tmp_path, step)
    with pytest.raises(UserError, match="none of its checkpoints can be read"):
        load_variables(tmp_path)
    with pytest.raises(UserError, match="no checkpoint can be read.*begins anew"):
        checkpoints.restore(state(0))


def test_one_changed_bit_is_noticed(checkpoints, tmp_path, said):
    """TensorStore decodes it to other numbers, without a word."""
    save_all(checkpoints, {10: 0.5, 20: 0.9}, size=5000, drawn=True)
    change_step(tmp_path, 20)
    reason = f"{tmp_path}/checkpoints/20 is broken (its arrays are not those that were saved): "
    assert load_variables(tmp_path, "voc_ap50")[1] == 10 and said == [f"{reason}taking another"]
    assert int(checkpoints.restore(state(0, size=5000)).step) == 10
    assert said[1:] == [f"{reason}it is moved to {tmp_path}/checkpoints.broken/20"]


def test_what_is_raised_is_not_printed_as_well(monkeypatch, caplog):
    """Python and Orbax printed a page of tracebacks for a checkpoint that was cut off, or a disk that was full."""
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    _hush.__wrapped__()
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError) as caught:
        loop.call_soon_threadsafe(print)
    of_ours, of_a_thread = caught.value.__traceback__, caught.value.__traceback__.tb_next
    late, other, own = (
        SimpleNamespace(exc_value=RuntimeError(text), exc_traceback=trace)
        for text, trace in (("Event loop is closed", of_a_thread), ("other", of_a_thread), (str(caught.value), of_ours))
    )
    for problem in (late, other, own):
        sys.unraisablehook(problem)
    assert heard == [other, own]
    package, error = Path(ocp.__file__).parent, (RuntimeError, RuntimeError(), None)
    for place, level, trace in (
        (package / "checkpoint_manager.py", logging.ERROR, error),
        (package / "checkpoint_manager.py", logging.WARNING, error),
        (package / "checkpoint_manager.py", logging.ERROR, None),
        (Path("/home/orbax/train.py"), logging.ERROR, error),
    ):
        text = f"{place.name} {level} {trace is None}"
        logging.getLogger("absl").handle(logging.LogRecord("absl", level, str(place), 1, text, (), trace))
    assert caplog.messages == ["checkpoint_manager.py 30 False", "checkpoint_manager.py 40 True", "train.py 40 False"]


def test_a_checkpoint_without_a_checksum_is_read(checkpoints, tmp_path, monkeypatch):
    """As earlier versions made them."""
    monkeypatch.setattr("yolo9000_jax.workdir.checkpoints._signed", lambda tree: tree)
    save_all(checkpoints, {10: None})
    assert kernel(tmp_path) == [10.0] * 3


@pytest.mark.parametrize("left", [(), ("_CHECKPOINT_METADATA",)])
def test_a_latest_checkpoint_without_arrays_leaves_the_others_readable(checkpoints, tmp_path, said, left):
    """Orbax took its kind for that of all: every checkpoint was put aside as broken."""
    save_all(checkpoints, {10: 0.5, 20: 0.4})
    for path in (tmp_path / "checkpoints/20").iterdir():
        if path.name not in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = Checkpoints(tmp_path, "voc_ap50")
    assert int(again.restore(state(0)).step) == 10
    again.close()
    assert saved_steps(tmp_path) == [10] and f"{tmp_path}/checkpoints/20 is broken" in said[-1]


def test_a_half_written_checkpoint_is_none(checkpoints, tmp_path):
    save_all(checkpoints, {10: None})
    shutil.copytree(tmp_path / "checkpoints/10", tmp_path / "checkpoints/20.orbax-checkpoint-tmp-7")
    assert Checkpoints(tmp_path).latest_step == 10 and kernel(tmp_path) == [10.0] * 3


def test_an_evaluation_without_the_metric_is_never_the_best(checkpoints):
    save_all(checkpoints, {1: 0.0, 2: None})
    checkpoints.record(2, {"recall50": 0.9})  # voc_ap50 was None: no truths
    assert checkpoints.best_step == 1


@pytest.mark.parametrize("average", [False, True])
def test_restore_is_exact(checkpoints, tmp_path, average):
    original = state(7, average)
    original = original.replace(params=jax.tree.map(lambda x: x + 1 / 3, original.params))
    checkpoints.save(original)
    restored = checkpoints.restore(state(0, average))
    assert jax.tree.structure(restored) == jax.tree.structure(original)
    jax.tree.map(np.testing.assert_array_equal, restored, original)
    loaded, step = load_variables(tmp_path)
    assert step == 7
    jax.tree.map(np.testing.assert_array_equal, loaded, dict(original.variables))


def test_an_average_of_parameters_alone(checkpoints, tmp_path):
    """As it was saved before batch statistics were averaged with them: those of the state stand in for these."""
    new = state(7, average=True)
    checkpoints.save(new.replace(average=new.average["params"]))
    checkpoints.wait()
    expected = {"params": new.average["params"], "batch_stats": new.batch_stats}
    jax.tree.map(np.testing.assert_array_equal, load_variables(tmp_path)[0], expected)
    restored = checkpoints.restore(state(0, average=True))
    jax.tree.map(np.testing.assert_array_equal, restored, new.replace(average=expected))
    checkpoints.save(state(8).replace(batch_stats={}, average=new.average["params"]))  # a network without batch norm
    checkpoints.wait()
    jax.tree.map(np.testing.assert_array_equal, load_variables(tmp_path)[0], expected | {"batch_stats": {}})
    like = create({"params": new.params}, OPTIMIZER, average=True)
    jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(like).average["params"], new.average["params"])


@pytest.mark.parametrize(
    ("other", "part"),
    [
        ({"average": True}, "average/batch_stats/mean is missing in it"),
        ({"size": 4}, r"batch_stats/mean is \(3,\) in it and \(4,\) by this config"),
    ],
)
def test_state_of_another_config(checkpoints, tmp_path, other, part):
    save_all(checkpoints, {10: None})
    with pytest.raises(UserError, match=f"checkpoints/10: is of another network.*{part}") as caught:
        checkpoints.restore(state(0, **other))
    assert "\n" not in str(caught.value)
    assert saved_steps(tmp_path) == [10]  # it is whole: nothing is moved


def test_nothing_saved_yet(checkpoints, tmp_path):
    assert checkpoints.latest_step is None and checkpoints.best_step is None
    with pytest.raises(UserError, match="no checkpoint can be read"):
        checkpoints.restore(state(0))
    with pytest.raises(UserError, match="no checkpoint here yet; train first"):
        load_variables(tmp_path)


def test_loading_makes_no_folder(tmp_path):
    with pytest.raises(UserError, match="no checkpoint here yet"):
        load_variables(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


def test_variables_alone(tmp_path):
    variables = {"params": {"conv": {"kernel": np.arange(3.0)}}, "batch_stats": {}}
    save_variables(variables, tmp_path)
    loaded, step = load_variables(tmp_path)
    assert step == 0 and loaded["params"]["conv"]["kernel"].tolist() == [0, 1, 2] and loaded["batch_stats"] == {}


def test_scores_that_are_none(tmp_path):
    for content in ("{", "[1]", '{"2": 5}', '{"2": {"voc_ap50": "x"}}', '{"2": {"voc_ap50": null}}'):
        (tmp_path / "scores.json").write_text(content)
        with pytest.raises(UserError, match="scores.json: cannot be read"):
            read_scores(tmp_path)
