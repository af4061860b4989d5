"""A step spread over devices and hosts, or done in parts, is the step of the whole batch."""

import os
import socket
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from tests.helpers import ROOT
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.tasks.detection import Detection
from yolo9000_jax.tasks.task import AXIS, Ratio
from yolo9000_jax.training import parallel, schedule, state
from yolo9000_jax.training.step import make_step

# The updates alone; what hands back no memory that it was to reuse is wrong here.
PROGRAM = """
import sys, warnings
import jax, numpy as np
from tests import tiny
from yolo9000_jax import config as configs
from yolo9000_jax.tasks import make_task
from yolo9000_jax.training import loop, parallel, state

warnings.filterwarnings("error", message=".*donat.*")
source, target, where = sys.argv[1:]
if where:
    parallel.join(where)
config = configs.complete(tiny.tiny_config(source))
config.batch_size, config.multi_scale, config.multi_scale_every = 16, (), 10
config.model.architecture, config.model.trunk, config.model.head, config.model.side = "yolo_v1", "tiny", "direct", 1
parallel.check_batch_size(config)
task = make_task(config)
optimizer, update = loop.make_update(task)
current = parallel.replicate(state.create(task.init(config.seed), optimizer, average=True))
losses = []
rng = np.random.default_rng(0)
for _ in range(10):
    batch = {
        "images": rng.integers(0, 256, (16, 64, 64, 3), np.uint8),
        "colour": np.float32(rng.uniform((-0.1, 0.7, 0.7), (0.1, 1.4, 1.4), (16, 3))),
        "boxes_cxcywh": np.float32(rng.uniform(0.2, 0.8, (16, task.max_boxes, 4))),
        "labels": rng.integers(0, 2, (16, task.max_boxes), np.int32),
        "mask": rng.random((16, task.max_boxes)) < 0.7,
    }
    batch = {key: np.split(array, jax.process_count())[jax.process_index()] for key, array in batch.items()}
    current, metrics = update(current, parallel.shard(batch), np.array([0, 10], np.int32))
    losses.append(float(np.asarray(metrics["loss"])[0]))
current = parallel.unreplicate(current)
arrays = jax.tree.leaves((current.params, current.batch_stats, current.average))
if parallel.is_first():
    np.savez(target, losses, *arrays)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return tiny.make_voc(tmp_path_factory.mktemp("spread") / "data", 16)


def trained(source, folder, processes, devices):
    """The losses of ten steps, and what they come to, on so many devices of each of so many processes."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    target = folder / f"{processes}x{devices}.npz"
    places = [f"localhost:{port},{processes},{index}" if processes > 1 else "" for index in range(processes)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, source, target, where],
            env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for where in places
    ]
    said = [each.communicate(timeout=600)[1] for each in running]
    assert [each.returncode for each in running] == [0] * processes, said
    found = np.load(target)
    return [found[name] for name in found.files]


@pytest.fixture(scope="module")
def on_eight(source, tmp_path_factory):
    return trained(source, tmp_path_factory.mktemp("eight"), 1, 8)


@pytest.mark.parametrize(("processes", "devices", "within"), [(1, 1, 1e-5), (2, 4, 1e-6)])
def test_devices_and_hosts_do_not_matter(source, on_eight, tmp_path, processes, devices, within):
    """Batch norm is shared among all devices."""
    for one, other in zip(on_eight, trained(source, tmp_path, processes, devices), strict=True):
        np.testing.assert_allclose(one, other, rtol=within, atol=within)
    assert on_eight[0][-1] != on_eight[0][0]


GROUPS = """
import sys
import jax, numpy as np
from yolo9000_jax.models.layers import BatchNorm
from yolo9000_jax.training import parallel

norm = BatchNorm(axis_name=parallel.AXIS, axis_group=2)
given = dict(np.load(sys.argv[1]))
state = {
    "params": {"scale": given["scale"], "bias": given["bias"]},
    "batch_stats": {"mean": given["mean"], "var": given["var"]},
}

def step(state, batch, span):
    def loss(x):
        y, updates = norm.apply(state, x, True, mutable=["batch_stats"])
        return (y * batch["weights"]).sum(), (y, updates["batch_stats"])

    gradient, (y, statistics) = jax.grad(loss, has_aux=True)(batch["x"])
    return {"y": y, "gradient": gradient} | statistics

batch = {"x": given["x"], "weights": given["weights"]}
for name, mapped in (("pmap", parallel.map_step(step)), ("shard_map", parallel.shard_map_step(step, jax.devices()))):
    np.savez(f"{sys.argv[2]}/{name}.npz", **mapped(parallel.replicate(state), batch, np.zeros(2, np.int32)))
"""


def test_batch_norm_over_groups_is_that_of_each_groups_pictures(tmp_path):
    """Four devices in two groups against NumPy: outputs, running statistics, and gradients through the group's mean."""
    rng = np.random.default_rng(0)
    x, weights = rng.normal(3, 2, (2, 4, 3, 5, 5, 6))  # device, picture, row, column, channel
    scale, bias, mean, var = rng.uniform(0.5, 2, (4, 6))
    given = {"x": x, "weights": weights, "scale": scale, "bias": bias, "mean": mean, "var": var}
    np.savez(tmp_path / "given.npz", **{name: np.float32(array) for name, array in given.items()})
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run(
        [sys.executable, "-c", GROUPS, tmp_path / "given.npz", tmp_path], env=environment, cwd=ROOT, check=True
    )
    for name in ("pmap", "shard_map"):
        found = np.load(tmp_path / f"{name}.npz")
        for group in (slice(0, 2), slice(2, 4)):
            axes, pictures = (0, 1, 2, 3), x[group]
            inverse = 1 / np.sqrt(pictures.var(axes) + 1e-5)
            normal = (pictures - pictures.mean(axes)) * inverse
            sent = weights[group]
            back = sent - sent.mean(axes) - normal * (sent * normal).mean(axes)
            expected = {"y": normal * scale + bias, "gradient": scale * inverse * back}
            expected["mean"] = 0.99 * mean + 0.01 * pictures.mean(axes)
            count = pictures[..., 0].size
            expected["var"] = 0.99 * var + 0.01 * pictures.var(axes) * count / (count - 1)
            for key, value in expected.items():
                np.testing.assert_allclose(
                    found[key][group], np.broadcast_to(value, found[key][group].shape), 1e-4, 1e-4
                )


def net_loss(params, batch_stats, batch, step, part):
    """No batch norm; the statistics count the parts."""
    hidden = jnp.tanh(batch["x"] @ params["a"]["kernel"])
    loss = jnp.mean((hidden @ params["b"]["kernel"] - batch["y"]) ** 2)
    large = batch["x"][:, 0] > 0.5  # of few rows, in some parts of none
    first = Ratio(jnp.sum(batch["x"][:, 0], where=large), jnp.sum(large, dtype=jnp.float32))
    return loss, ({"loss": loss, "first": first, "part": 1.0 * part}, {"parts": batch_stats["parts"] + 1})


def after(accumulate, steps=3, average_decay=0.0):
    rng = np.random.default_rng(0)
    params = {
        name: {"kernel": rng.normal(size=size).astype(np.float32)} for name, size in (("a", (6, 8)), ("b", (8, 1)))
    }
    options = tiny.tiny_config("voc:none").optimizer
    optimizer = schedule.optimizer(options)
    step = make_step(net_loss, optimizer, schedule.learning_rate(options), average_decay, accumulate)
    update = jax.jit(jax.vmap(step, (None, 0, None), 0, axis_name=AXIS))
    variables = {"params": params, "batch_stats": {"parts": np.zeros((), np.float32)}}
    current = state.create(variables, optimizer, average=average_decay > 0)
    for _ in range(steps):
        batch = {"x": rng.normal(size=(2, 12, 6)), "y": rng.normal(size=(2, 12, 1))}
        found, metrics = update(current, jax.tree.map(np.float32, batch), np.array([0, 10], np.int32))
        current = jax.tree.map(lambda x: x[0], found)
    return current, jax.tree.map(lambda x: x[0], metrics)


@pytest.mark.parametrize("accumulate", [2, 3, 12])
def test_parts_come_to_the_whole(accumulate):
    (whole, metrics), (parts, of_parts) = after(1), after(accumulate)
    np.testing.assert_allclose(of_parts["loss"], metrics["loss"], rtol=1e-6)
    assert of_parts["first"].mean == pytest.approx(metrics["first"].mean, rel=1e-6) and metrics["first"].mean > 0.5
    assert of_parts["part"] == (accumulate - 1) / 2  # each has had its number
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), parts.params, whole.params)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), parts.optimizer_state, whole.optimizer_state
    )
    assert parts.batch_stats["parts"] == 3 * accumulate  # each part has gone into them


@pytest.mark.parametrize(("accumulate", "keys_of_all"), [(2, 8), (1, 4)])
def test_parts_drop_other_units(source, accumulate, keys_of_all):
    """The key of dropout is another one on each device and for each part and step; of one part, that of versions
    that knew none."""
    task = Detection(tiny.tiny_config(source))
    task.config.accumulate = accumulate
    task.inputs = lambda batch: batch
    task.model = SimpleNamespace(apply=lambda *_, rngs, **__: (jax.random.key_data(rngs["dropout"]), {}))
    apply = jax.vmap(lambda step, part, _: task.apply({}, {}, None, step, part)[0], (None, None, 0), axis_name=AXIS)
    keys = [tuple(map(int, key)) for step in (0, 1) for part in (0, 1) for key in apply(step, part, jnp.arange(2))]
    assert len(set(keys)) == keys_of_all
    if accumulate == 1:
        first = jax.random.fold_in(jax.random.fold_in(jax.random.key(task.config.seed), 0), 0)
        assert keys[0] == tuple(map(int, jax.random.key_data(first)))


def test_rematerialisation_changes_no_number():
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    variables = jax.jit(Darknet19(3, width=1 / 16).init)(jax.random.key(0), images)
    found = {}
    for remat in (False, True):
        model = Darknet19(3, width=1 / 16, remat=remat)

        def loss(params, model=model):
            logits, mutated = model.apply(variables | {"params": params}, images, True, mutable=["batch_stats"])
            return (logits**2).sum(), mutated

        found[remat] = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])
        kept = str(jax.make_jaxpr(jax.grad(lambda params, loss=loss: loss(params)[0]))(variables["params"]))
        assert ("remat" in kept or "checkpoint" in kept) == remat
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), found[True], found[False])


def test_statistics_are_averaged_with_the_weights():
    """As the weights are: quickly at first."""
    current, _ = after(1, average_decay=0.9)
    expected = 0.0
    for number in range(3):
        keep = min(0.9, (1 + number) / (10 + number))
        expected = keep * expected + (1 - keep) * (number + 1)
    np.testing.assert_allclose(current.variables["batch_stats"]["parts"], expected, rtol=1e-6)
    assert current.variables["params"] is current.average["params"]


def config(**values):
    c = tiny.tiny_config("voc:none")
    c.model.sync_batch_norm = False
    c.update_from_flattened_dict(values)
    return c


@pytest.mark.parametrize(
    ("devices", "values", "message"),
    [
        (3, {"batch_size": 8}, "batch_size 8 does not divide among 3 devices; the nearest that do: 6 or 9"),
        (256, {"batch_size": 64}, "batch_size 64 does not divide among 256 devices; the nearest that do: 256"),
        (
            8,
            {"batch_size": 64, "accumulate": 3},
            "batch_size 64 does not divide among 8 devices, on each in 3 parts; the nearest that do: 48 or 72",
        ),
        (
            8,
            {"model.sync_batch_norm": True, "model.sync_batch_norm_group": 3},
            "model.sync_batch_norm_group 3 does not divide 8 devices; choose one that does",
        ),
    ],
)
def test_batches_that_do_not_divide(monkeypatch, devices, values, message):
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    with pytest.raises(UserError) as caught:
        parallel.check_batch_size(config(**values))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ({"batch_size": 64}, None),
        ({"batch_size": 32}, 4),
        ({"batch_size": 64, "accumulate": 2}, 4),
        ({"batch_size": 32, "model.sync_batch_norm": True}, None),
        ({"batch_size": 8, "model.sync_batch_norm": True, "model.sync_batch_norm_group": 4}, 4),
        ({"batch_size": 32, "model.use_batch_norm": False}, None),
    ],
)
def test_few_pictures_for_batch_norm(monkeypatch, said, values, seen):
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    parallel.check_batch_size(config(**values))
    assert [line.split(",")[0] for line in said] == ([f"batch norm sees {seen} images at a time"] if seen else [])
