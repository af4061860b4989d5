"""SIGTERM from outside, to a run on one host; for several see test_hosts.py."""

import os
import subprocess
import sys

import jax
import numpy as np

from tests import tiny
from tests.helpers import ROOT
from tests.training.test_loop import saved_state, saved_steps
from yolo9000_jax.training import loop as training

SLOWLY = """
import sys, time
from tests import tiny
from yolo9000_jax.training import loop as training
from yolo9000_jax.errors import Stopped

real = training.next_batch
training.next_batch = lambda *arguments: time.sleep(0.5) or real(*arguments)
try:
    training.train(tiny.tiny_config(sys.argv[1]), sys.argv[2])
except Stopped as stop:
    sys.exit(str(stop))
"""


def test_machine_that_is_taken_away(trained, tmp_path):
    """SIGTERM: a checkpoint at the end of the step, one line, and then the same numbers as without."""
    source = f"voc:{trained.parent / 'data'}"
    program = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, source, str(tmp_path)],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in program.stdout:
        if line.startswith("step 2/6"):
            program.terminate()
            break
    _, errors = program.communicate(timeout=300)
    assert program.returncode == 1, errors
    step = saved_steps(tmp_path)[-1]
    assert 2 <= step < 6
    last = f"stopped at step {step}; the same command carries on from there"
    assert last in errors.splitlines()
    training.train(tiny.tiny_config(source), tmp_path)
    jax.tree.map(np.testing.assert_array_equal, saved_state(tmp_path, 6), saved_state(trained, 6))
