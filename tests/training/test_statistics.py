"""Batch norm's statistics anew: what a run is judged with, against the means of its batches' statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from yolo9000_jax.config import complete
from yolo9000_jax.errors import Stopped
from yolo9000_jax.tasks import make_task
from yolo9000_jax.tasks.task import AXIS
from yolo9000_jax.training import loop as training
from yolo9000_jax.training import state, step
from yolo9000_jax.workdir.checkpoints import Checkpoints
from yolo9000_jax.workdir.facts import load_best

BATCHES = 3


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Two steps at 96, judged at 64 with the statistics of three batches, with a moving average."""
    c = tiny.tiny_config(tiny.make_voc(tmp_path_factory.mktemp("data")))
    c.steps, c.batch_size, c.multi_scale = 2, 4, (96,)
    c.model.batch_norm_batches = BATCHES
    c.evaluation.image_size = 64
    c.optimizer.average_decay = 0.9
    return complete(c)


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """The workdir of its run."""
    workdir = tmp_path_factory.mktemp("run") / "run"
    training.train(config, workdir)
    return workdir


def saved(workdir, number):
    checkpoints = Checkpoints(workdir)
    found = checkpoints.raw(number)
    checkpoints.close()
    return found


def batch_statistics(task, params, batch):
    """Of one batch, from the definition of the running ones: they were 0, and keep .99 of that."""
    zeros = jax.tree.map(jnp.zeros_like, jax.eval_shape(task.model.init, jax.random.key(0), batch["images"] / 1.0))
    model = task.model.clone(norm=task.model.norm.__class__(momentum=0.99))
    variables = {"params": params, "batch_stats": zeros["batch_stats"]}
    mutated = model.apply(variables, task.inputs(batch), train=True, mutable=["batch_stats"])[1]
    return jax.tree.map(lambda array: np.asarray(array, np.float64) / 0.01, mutated["batch_stats"])


def judged_batches(task, first):
    """Those of the steps after `first`, at the judged size."""
    batches = list(task.batches(first, first + BATCHES, 64))
    assert [batch["images"].shape for batch in batches] == [(4, 64, 64, 3)] * BATCHES
    return batches


def close(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), one, other)


def test_what_is_saved_has_the_means_of_the_batches_statistics(config, trained):
    """Of the averaged weights, which are judged, at the judged size; and it is what is loaded."""
    task, found = make_task(config), saved(trained, 2)
    several = [batch_statistics(task, found["average"]["params"], batch) for batch in judged_batches(task, 2)]
    expected = jax.tree.map(lambda *arrays: np.mean(arrays, 0), *several)
    close(found["average"]["batch_stats"], expected)
    close(load_best(trained)[0]["batch_stats"], expected)
    # The same of the first layer by NumPy alone: the plain mean and the unbiased variance of its convolution's output.
    kernel = found["average"]["params"]["trunk"]["conv1"]["kernel"]
    moments = []
    for batch in judged_batches(task, 2):
        padded = np.pad(np.asarray(task.inputs(batch), np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifted = [(padded[:, i : i + 64, j : j + 64], kernel[i, j]) for i in range(3) for j in range(3)]
        output = sum(pixels @ weights for pixels, weights in shifted).reshape(-1, kernel.shape[-1])
        moments.append((output.mean(0), output.var(0, ddof=1)))
    mean, variance = np.mean(moments, 0)
    first = found["average"]["batch_stats"]["trunk"]["conv1"]["norm"]
    np.testing.assert_allclose(first["mean"], mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(first["var"], variance, rtol=1e-4)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_devices_and_parts_share_their_means(accumulate):
    """Two devices, mapped over the step's axis: the mean over both, the same on both; nothing else is touched.

    The statistics of several parts are the mean of theirs, here of the product of all numbers in a part.
    """
    found = {"mean": jnp.array([[1.0], [3.0]] if accumulate == 1 else [[0.5, 1.5], [1.0, 5.0]])}

    def statistics(params, batch_stats, batch):
        return {"mean": params["w"] * jnp.prod(batch, keepdims=True)}

    params, batch_stats = {"w": jnp.ones(2)}, {"mean": jnp.full((2, 1), 9.0)}
    average = {"params": {"w": jnp.full(2, 2.0)}, "batch_stats": batch_stats}
    mapped = jax.vmap(step.make_statistics_step(statistics, accumulate), in_axes=(0, 0, None), axis_name=AXIS)
    for kept, mean in ((average, 12.0), (None, 6.0)):  # ((2 + 6) / 2 + (10 + 30) / 2) / 2, and half of it
        fresh = state.TrainState(jnp.zeros(2), params, batch_stats, (), kept)
        after = mapped(mapped(fresh, found["mean"], 1), 5 * found["mean"], 2)
        assert after.variables["batch_stats"]["mean"].tolist() == [[mean], [mean]]
        assert after.variables["params"]["w"].tolist() == [2 if kept else 1] * 2
        assert after.params["w"].tolist() == [1, 1] and not after.step.any()
        assert after.batch_stats["mean"].tolist() == [[9.0 if kept else mean]] * 2


def test_only_the_statistics_differ(config, trained, tmp_path, monkeypatch):
    """From a run without; also where the run is stopped behind its last step, and carries on to be judged."""
    real = training._Run._evaluate
    stops = [KeyboardInterrupt]
    monkeypatch.setattr(training.preemption.Stop, "check", lambda self, number: raise_first(stops, number))
    with pytest.raises(Stopped, match="stopped at step 2"):
        training.train(config, tmp_path / "stopped")
    monkeypatch.setattr(training._Run, "_settle_statistics", None)  # they are there already
    judged = []
    monkeypatch.setattr(training._Run, "_evaluate", lambda run: (judged.append(run.replicated), real(run)))
    training.train(config, tmp_path / "stopped")
    one, other = saved(trained, 2), saved(tmp_path / "stopped", 2)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    (current,) = judged
    kept = jax.tree.map(lambda x: x[0], current.average)
    jax.tree.map(np.testing.assert_array_equal, one["average"], kept)
    without = config.copy_and_resolve_references()
    without.model.batch_norm_batches = 0
    monkeypatch.undo()
    training.train(without, tmp_path / "without")
    plain = saved(tmp_path / "without", 2)
    for part in ("params", "batch_stats", "optimizer_state"):
        jax.tree.map(np.testing.assert_array_equal, one[part], plain[part])
    jax.tree.map(np.testing.assert_array_equal, one["average"]["params"], plain["average"]["params"])
    means = [each["average"]["batch_stats"]["trunk"]["conv1"]["norm"]["mean"] for each in (one, plain)]
    assert not np.allclose(*means)


def raise_first(stops, number):
    """At the last step, once."""
    if number == 2 and stops:
        raise stops.pop()
