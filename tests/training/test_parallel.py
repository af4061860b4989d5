"""The two ways in which a step is spread over devices, and what its program holds: on 8 simulated devices."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT

STEPS = 3
# Both ways go over the same batches from the same state; prints how they differ, and what the program holds.
PROGRAM = """
import json, sys, warnings
warnings.filterwarnings("error", message=".*donated")  # memory that was to be used again and was not
from dataclasses import asdict
import jax, numpy as np
from tests import tiny
from yolo9000_jax import config as configs
from yolo9000_jax.tasks import make_task
from yolo9000_jax.training import parallel, state, step
from yolo9000_jax.training.program import compile_step

config = tiny.tiny_config(sys.argv[1])
config.batch_size, config.multi_scale, config.image_size = 16, (), 96
config.model.width = 1 / 16
config.model.sync_batch_norm = sys.argv[2] == "shared"
config.optimizer.average_decay = 0.9
task = make_task(configs.complete(config))
optimizer, update = step.step_of(task)
variables = task.init(0)
batches = list(task.batches(0, int(sys.argv[3])))
results = []
for mapped in (parallel.map_step(update), parallel.shard_map_step(update, jax.devices())):
    current = parallel.replicate(state.create(variables, optimizer, True))
    for batch in batches:
        current, metrics = mapped(current, parallel.shard(batch), np.array([0, 100], np.int32))
    results.append(jax.device_get((current, metrics)))
one, other = map(jax.tree.leaves, results)
counts = [sum(np.size(leaf) for leaf in jax.tree.leaves(part)) for part in (variables, metrics)]
program = compile_step(task, 96, jax.devices(), None)
images = 2 * 9 * 3 * config.batch_size * 96 * 96 * variables["params"]["trunk"]["conv1"]["kernel"].shape[-1]
print(json.dumps({
    "devices": jax.device_count(),
    "arrays": len(one),
    "shapes_differ": [a.shape != b.shape for a, b in zip(one, other, strict=True)].count(True),
    "differ": max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True)),
    "moved": max(float(np.abs(a[0] - b).max())
        for a, b in zip(*map(jax.tree.leaves, (results[1][0].params, variables["params"])), strict=True)),
    "numbers": counts[0] + counts[1] // jax.device_count() - 2,  # the rate needs no sum; two means have one count
    "of_images": images,
    "program": asdict(program),
}))
"""


@pytest.fixture(scope="module", params=["own", "shared"])
def found(request, trained):
    """What the program prints, with each device's own batch statistics, or shared ones."""
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"  # which compiles sooner
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM] + [f"voc:{trained.parent / 'data'}", request.param, str(STEPS)],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return request.param, json.loads(done.stdout.splitlines()[-1])


def test_both_ways_give_the_same_numbers(found):
    """Parameters, running statistics, momenta, the average and the metrics, all of them on every device."""
    _, numbers = found
    assert (numbers["devices"], numbers["shapes_differ"]) == (8, 0) and numbers["arrays"] > 100
    assert numbers["differ"] < 1e-6 < 1e-4 < numbers["moved"]


def test_all_reduces_are_of_the_gradients_size_and_of_all_devices(found):
    """Each number that has to agree is summed once: gradients, running statistics, metrics."""
    statistics, numbers = found
    program = numbers["program"]
    assert program["groups"] == 1 and program["other_collectives"] == 0
    if statistics == "own":
        assert program["all_reduce_bytes"] == 4 * numbers["numbers"]
    else:  # those of the layers, forth and back, come on top
        assert 4 * numbers["numbers"] < program["all_reduce_bytes"] < 4.2 * numbers["numbers"]


def test_the_host_takes_no_part(found):
    assert found[1]["program"]["host_transfers"] == 0


def test_a_step_is_three_forward_passes(found):
    """Forward, and back twice: to the weights and to what lies before, where something with weights does."""
    program = found[1]["program"]
    assert program["flops_per_step"] == 3 * program["forward_flops"] - found[1]["of_images"]
