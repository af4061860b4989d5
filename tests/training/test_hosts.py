"""Several hosts that train together: two processes over loopback, joined by the command's own option."""

import os
import signal
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests import tiny
from tests.helpers import ROOT
from tests.training.test_loop import rows, saved_state, saved_steps
from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.training import parallel
from yolo9000_jax.workdir.lock import lock_workdir

CONFIG = """
from tests import tiny

def get_config(row=None):
    return tiny.tiny_config({source!r})
"""
# A step takes long enough to be interrupted.
PROGRAM = """
import sys, time
from yolo9000_jax import cli, hosts
from yolo9000_jax.training import loop as train

real = train.next_batch

def next_batch(*arguments):
    hosts.SIGN_EVERY_S, hosts.LOST_AFTER_S = 1, 8  # only now, as starting may take a busy machine longer
    time.sleep(float(sys.argv[1]))
    return real(*arguments)

if float(sys.argv[1]):
    train.next_batch = next_batch
sys.exit(cli.main(sys.argv[2:]))
"""
# Signs of life are always under way, also when the process ends.
ONLY_MEETS = """
import sys, time
from yolo9000_jax import hosts
from yolo9000_jax.training import parallel

hosts.SIGN_EVERY_S = 0.0005
parallel.join(sys.argv[1])
time.sleep(1)
hosts.meet()
"""
HOSTS = 2


def start(config, workdir, sleep_s=0.0, more=(), count=HOSTS):
    """The processes of one run."""
    command = ["train", "--config", str(config), "--workdir", str(workdir), *more, "--distributed"]
    return processes([PROGRAM, str(sleep_s), *command], count)


def processes(command, count=HOSTS):
    """Those of a program, each with the place where it joins the others as its last argument."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [
        subprocess.Popen(
            [sys.executable, "-c", *command, f"localhost:{port},{count},{index}"],
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            cwd=ROOT,
            **pipes,
        )
        for index in range(count)
    ]


def finish(hosts):
    """[(exit status, stdout, stderr)] of the processes."""
    texts = [host.communicate(timeout=300) for host in hosts]
    return [(host.returncode, *text) for host, text in zip(hosts, texts, strict=True)]


@pytest.fixture(scope="module")
def config(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("hosts") / "tiny.py"
    path.write_text(CONFIG.format(source=f"voc:{trained.parent / 'data'}"))
    return path


@pytest.fixture(scope="module")
def together(config):
    """The workdir of a whole run, and what its processes said."""
    workdir = config.parent / "run"
    return workdir, finish(start(config, workdir))


def test_two_hosts_agree_with_one(trained, together):
    """Batch norm is shared among the devices here, so the batch's split cannot matter."""
    workdir, said = together
    assert [status for status, *_ in said] == [0, 0], said
    one, two = saved_state(trained, 6), saved_state(workdir, 6)
    for key in ("params", "batch_stats"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4), one[key], two[key])


def test_the_first_alone_writes_and_speaks(together):
    workdir, ((_, first, _), (_, second, _)) = together
    assert "2 cpu device(s)" in first and "step 6/6" in first
    assert all(line.startswith("[Gloo]") for line in second.splitlines())  # is JAX's own
    assert [row["step"] for row in rows(workdir)] == [2, 4, 6, 6]
    assert len(list((workdir / "tensorboard").iterdir())) == 1
    assert (workdir / "report/metrics.json").is_file()


def test_hosts_end_with_their_signs_of_life():
    """A thread that comes back from JAX when Python has ended would crash the process."""
    said = finish(processes([ONLY_MEETS]))
    assert [status for status, *_ in said] == [0, 0], said


@pytest.mark.parametrize(("index", "number"), [(1, signal.SIGTERM), (0, signal.SIGINT)])
def test_one_host_is_taken_away(config, together, tmp_path, index, number):
    """All stop after the same step, with a checkpoint, and the command then comes to the same numbers as without."""
    hosts = start(config, tmp_path, sleep_s=0.5)
    for line in hosts[0].stdout:
        if line.startswith("step 2/6"):
            hosts[index].send_signal(number)
            break
    said = finish(hosts)
    assert [status for status, *_ in said] == [143, 143], said
    step = saved_steps(tmp_path)[-1]
    assert 2 <= step < 6
    assert f"stopped at step {step}; the same command carries on from there" in said[0][1].splitlines()
    if number == signal.SIGTERM:  # once: how it goes on does not depend on the signal
        assert [status for status, *_ in finish(start(config, tmp_path))] == [0, 0]
        jax.tree.map(np.testing.assert_array_equal, saved_state(tmp_path, 6), saved_state(together[0], 6))


@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_that_dies_takes_the_other_with_it(config, tmp_path, lost):
    """It names it, and the same command carries on, also on one host."""
    every = ["--config.checkpoint_every=1"]
    hosts = start(config, tmp_path, sleep_s=0.5, more=every)
    for line in hosts[0].stdout:
        if line.startswith("step 2/6"):
            hosts[lost].kill()
            break
    status, _, errors = finish(hosts)[1 - lost]
    why = "nothing was heard of it for 8 s" if lost else "it does not answer any more"
    named = f"yolo9000: host {lost} ({socket.gethostname()}) is lost: {why}; the same command carries on"
    assert status == 143 and named in errors.splitlines(), errors
    if lost:
        assert [each[0] for each in finish(start(config, tmp_path, more=every, count=1))] == [0]
        assert saved_steps(tmp_path)[-1] == 6


@pytest.mark.parametrize("argument", ["--config.init_from=nowhere", "--config.data.source=voc:nowhere"])
def test_what_the_first_host_finds_wrong_stops_all(config, tmp_path, argument):
    """The others waited for ever, or until JAX gave up."""
    said = finish(start(config, tmp_path / "run", more=[argument]))
    assert [status for status, *_ in said] == [1, 1], said
    for _, _, errors in said:
        assert any(line.startswith("yolo9000: ") and "nowhere" in line for line in errors.splitlines()), errors


def test_a_workdir_in_use_stops_all(config, tmp_path):
    with lock_workdir(tmp_path / "run"):
        said = finish(start(config, tmp_path / "run"))
    assert [status for status, *_ in said] == [1, 1], said
    assert all("trains here: wait for it" in errors for _, _, errors in said)


@pytest.mark.parametrize("where", ["nowhere", "host,2,0", "host:1,2", "host:1,two,0"])
def test_hosts_that_are_none(config, refused, tmp_path, where):
    line = refused("train", "--config", config, "--workdir", tmp_path / "run", "--distributed", where)
    assert where in line and "HOST:PORT,N,I" in line


def test_an_environment_that_names_no_hosts(config, refused, tmp_path):
    line = refused("train", "--config", config, "--workdir", tmp_path / "run", "--distributed")
    assert "give HOST:PORT,N,I" in line


@pytest.mark.parametrize("index", [0, 1])
def test_hosts_that_do_not_come(index):
    """JAX waits five minutes and aborts with a page of its own; one line comes before that, and says who is missing."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        where = f"localhost:{free.getsockname()[1]}"
    program = (
        "import sys; from yolo9000_jax.training import parallel; parallel.JOIN_S = 0.5; parallel.join(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"{where},2,{index}"],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("yolo9000: ")]
    missing = (
        f"host 0 does not listen at {where}" if index else f"not all 2 hosts have come to {where} (this is host 0)"
    )
    assert done.returncode == 1 and len(lines) == 1 and missing in lines[0], done.stderr


def test_two_hosts_with_one_number():
    """JAX aborts the first of them with a page of its own; a line that says what to do comes last."""
    program = (
        "import os, jax; from yolo9000_jax.training import parallel; "
        "jax.distributed.initialize = lambda *host: os.abort(); parallel.join('here:1,3,2')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=200)
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and line.startswith("yolo9000: --distributed: host 0 at here:1 has turned this host 2")
    assert line.endswith("with that number: stop all, and start each with one from 0 to 2 of its own")


def test_the_first_host_turns_itself_not_away(monkeypatch):
    """A later abort of it, of which it would say so, is of something else."""
    actions = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *host: None)
    monkeypatch.setattr(parallel.hosts, "when_jax_aborts", actions.append)
    monkeypatch.setattr(parallel.hosts, "watch", lambda: None)
    monkeypatch.setattr(parallel, "is_first", lambda: True)
    for index in range(2):
        parallel.join(f"here:1,2,{index}")
        assert len(actions) == index


def answers(monkeypatch, said):
    """This process as host 1, told by host 0 what `said` is."""
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(parallel, "decided_by_first", lambda decide: said)
    monkeypatch.setattr(parallel.hosts, "on_all", lambda action: action())


@pytest.mark.parametrize("key, value", [("steps", 7), ("log_every", 3), ("optimizer.learning_rate", 0.5)])
def test_hosts_of_other_configs(monkeypatch, key, value):
    config = configs.complete(tiny.tiny_config("voc:here"))
    other = configs.as_saved(config)
    answers(monkeypatch, [other, parallel._code()])
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=rf"host 1: its config is not that of host 0 \({key}: .* -> {value}\)"):
        parallel.check_config(config)


def test_data_may_lie_elsewhere_on_each_host(monkeypatch):
    """Whether they are the same is compared when they are opened."""
    config = configs.complete(tiny.tiny_config("voc:here"))
    answers(monkeypatch, [configs.as_saved(config), parallel._code()])
    config.data.source = "voc:there"
    parallel.check_config(config)


def test_hosts_of_other_code(monkeypatch):
    config = configs.complete(tiny.tiny_config("voc:here"))
    answers(monkeypatch, [configs.as_saved(config), "yolo9000_jax 0, JAX 0"])
    with pytest.raises(UserError, match=r"host 1: its code is not that of host 0 \(yolo9000_jax 0, JAX 0 -> "):
        parallel.check_config(config)
