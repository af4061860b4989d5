"""experiments/benchmarks/kill_and_resume.py in short: killed at random moments, a run comes to the same end."""

import importlib.util
import subprocess

import pytest

from tests.helpers import ROOT


def load_command():
    path = ROOT / "experiments/benchmarks/kill_and_resume.py"
    spec = importlib.util.spec_from_file_location("kill_and_resume", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shell(command):
    return subprocess.Popen(["sh", "-c", f"exec {command}"])


def test_what_fails_by_itself_was_not_killed():
    kill = load_command().kill
    assert kill([shell("sleep 1000"), shell("sleep 1000")])
    done = shell("true")
    done.wait()
    assert not kill([done, shell("sleep 0.1")], patience_s=1000)  # one after another
    failed, other = shell("false"), shell("sleep 1000")
    failed.wait()
    with pytest.raises(SystemExit, match=r"statuses \[1, None\]"):
        kill([failed, other], patience_s=0.1)
    assert other.returncode is not None


@pytest.mark.slow  # two minutes; what it kills is killed in tests/training/test_bucket.py and test_hosts.py too
def test_a_killed_run_comes_to_the_same_end(tmp_path):
    command = load_command()
    rows = command.run(tmp_path, kills=2, seed=1)
    assert len(rows) == 2
    # The comparison sees what it is there for.
    one, other = tmp_path / "undisturbed", tmp_path / "round1"
    assert command.compare(one, other) == []
    with (other / "metrics.jsonl").open("a") as file:
        file.write('{"step": 22, "loss": 1.0}\n')
    (other / "report/index.html").unlink()
    differences = command.compare(one, other)
    assert any("metrics.jsonl differs" in line for line in differences)
    assert any("files of report/*" in line for line in differences)
