"""`yolo9000 plan`: what it compiles and says, at narrow width, on this machine; its arithmetic, of made-up chips."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace

import jax
import pytest

from tests import tiny
from tests.helpers import ROOT
from yolo9000_jax import config as configs
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.report.plan import totals
from yolo9000_jax.training import chips
from yolo9000_jax.training import plan as plans
from yolo9000_jax.training.program import Program

CHIP = chips.Chip(16 * chips.GIB, 100e12, 1e12, 100e9, False, "made up")
PROGRAM = Program(
    size=416,
    devices=4,
    flops_per_step=40 * 10**12,
    forward_flops=13 * 10**12,
    argument_bytes=1 * chips.GIB,
    temporary_bytes=7 * chips.GIB,
    peak_bytes=8 * chips.GIB,
    device_bytes=16 * chips.GIB,
    fits=True,
    bytes_accessed=20e9,
    all_reduces=1,
    all_reduce_bytes=200_000_000,
    groups=1,
    other_collectives=0,
    host_transfers=0,
    compile_s=1.5,
)
PLAN = plans.Plan("voc", "v5e:2x2", 4, 2, 64, 10**6, 3600, "", (PROGRAM,), 100.0, CHIP, ())
LARGE = replace(PROGRAM, size=608, peak_bytes=31 * chips.GIB, fits=False)


def test_estimates_are_what_their_formulas_say():
    # Each chip computes 10e12 operations in 0.1 s and reads 20e9 bytes in 0.02; 1.5 times 0.2 GB take 3 ms.
    found = PLAN.estimates()
    assert found["pictures_per_s_chips"] == pytest.approx(640)
    assert found["pictures_per_s_network"] == pytest.approx(64 / 0.003)
    assert found["pictures_per_s"] == pytest.approx(640) and found["input_per_s_needed_a_host"] == pytest.approx(320)
    assert found["hours"] == pytest.approx(0.1) and found["chip_hours"] == pytest.approx(0.4)
    assert set(found) == {*plans.FORMULAS, "input_per_s_needed_a_host"}
    assert found["pictures_per_s_memory"] == pytest.approx(64 / 0.02)
    # Where memory sets the pace; of two sizes the mean of the times.
    reads = replace(PROGRAM, bytes_accessed=380e9)
    two = replace(PLAN, programs=(reads, PROGRAM)).estimates()
    assert two["pictures_per_s"] == two["pictures_per_s_memory"] == pytest.approx(64 / 0.2)
    # A network that is slower than the chips.
    slow = replace(PLAN, chip=CHIP._replace(interconnect_bytes_per_s=1e9)).estimates()
    assert slow["pictures_per_s"] == pytest.approx(64 / 0.3)


def test_nothing_is_estimated_of_what_is_not_known():
    broken = replace(PROGRAM, flops_per_step=None)
    for plan in (replace(PLAN, chip=None), replace(PLAN, programs=(broken,))):
        assert set(plan.estimates().values()) == {None}
        assert not any("pictures/s" in line for line in totals(plan.to_json()))
    minutes = replace(PLAN, steps=None).estimates()
    assert minutes["hours"] is None and minutes["pictures_per_s"]


def test_an_input_that_sets_the_pace_is_said():
    (line,) = [line for line in totals(PLAN.to_json()) if "input" in line]
    assert "must give for that: 320; this host gave 100: the input will set the pace" in line
    (line,) = [line for line in totals(replace(PLAN, input_per_s=None).to_json()) if "input" in line]
    assert "was not measured" in line


def test_what_would_fit():
    config = configs.load("voc")
    assert plans.what_would_fit(config, [PROGRAM]) == []
    found = plans.what_would_fit(config, [LARGE, PROGRAM])
    assert found[0] == "608x608 needs 31.00 GiB a device, which has 16.00"
    # 30 GiB beside the arguments for 16 pictures; 15 are there: 8 pictures.
    assert any("compute_dtype=bfloat16" in line for line in found)
    assert any("batch_size=32 leaves 8 pictures a device instead of 16" in line for line in found)
    assert any("about 8 devices" in line for line in found) and any("'(416,)'" in line for line in found)
    assert any("rematerialise=True" in line for line in found)
    assert any("accumulate=2 works on 8 pictures a device at a time instead of 16" in line for line in found)
    config.accumulate, config.model.rematerialise = 2, True  # 8 pictures take 35 GiB, 15 are there: 3; 2 divide 16
    found = plans.what_would_fit(config, [replace(LARGE, peak_bytes=36 * chips.GIB)])
    assert any("accumulate=8 works on 2 pictures a device at a time instead of 8" in line for line in found)
    assert any("batch_size=24 leaves 6 pictures a device instead of 16" in line for line in found)
    assert not any("rematerialise" in line for line in found)
    config.accumulate = 1
    config.model.compute_dtype = "bfloat16"
    hopeless = plans.what_would_fit(config, [replace(LARGE, argument_bytes=17 * chips.GIB)])
    assert len(hopeless) == 1  # not even the state has room


def test_the_compiler_says_that_it_does_not_fit(monkeypatch, source):
    """As libtpu says it, for a chip of 15.75 GiB."""

    class Lowered:
        def lower(self, *_):
            return self

        def compile(self):
            raise jax.errors.JaxRuntimeError(OUT_OF_MEMORY)

    monkeypatch.setattr("yolo9000_jax.training.parallel.shard_map_step", lambda *_: Lowered())
    (program,) = plans.plan(tiny_config(source), devices=1).programs
    assert (program.fits, program.flops_per_step) == (False, None)
    assert program.peak_bytes == int(17.54 * chips.GIB) and program.device_bytes == int(15.75 * chips.GIB)
    monkeypatch.setattr(sys.modules[__name__], "OUT_OF_MEMORY", "INTERNAL: something\nelse")
    with pytest.raises(UserError, match="^the step at 96x96 does not compile: INTERNAL: something else$"):
        plans.plan(tiny_config(source), devices=1)


OUT_OF_MEMORY = (
    "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 17.54G of 15.75G hbm. Exceeded hbm capacity by 1G."
)


@pytest.fixture(autouse=True)
def cache():
    """A plan measures compiling, so it turns the cache of compiled programs off; other tests want it."""
    before = jax.config.jax_enable_compilation_cache
    yield
    jax.config.update("jax_enable_compilation_cache", before)


@pytest.fixture
def source(trained):
    return f"voc:{trained.parent / 'data'}"


def tiny_config(source):
    config = tiny.tiny_config(source)
    config.multi_scale, config.multi_scale_every, config.image_size = (), 10, 96
    return config


CONFIG = "from tests.training.test_plan import tiny_config\n\ndef get_config(row=None):\n    return tiny_config({!r})\n"


def test_the_command(run, refused, source, tmp_path):
    file, out = tmp_path / "tiny.py", tmp_path / "plan.json"
    file.write_text(CONFIG.format(source))
    status, said, errors = run("plan", "--config", file, "--devices", 1, "--json", out)
    assert (status, errors) == (0, "") and "1 cpu device" in said and "size" in said
    plan = json.loads(out.read_text())
    (program,) = plan["programs"]
    keys = {"size", "devices", "flops_per_step", "argument_bytes", "temporary_bytes", "peak_bytes", "device_bytes"}
    assert keys | {"all_reduces", "all_reduce_bytes", "compile_s"} <= set(program)
    assert (program["size"], program["devices"], plan["steps"], plan["hosts"]) == (96, 1, 6, 1)
    assert program["fits"] and program["peak_bytes"] >= program["argument_bytes"] + program["temporary_bytes"]
    # Weights and momenta, four bytes a number, lie in the arguments.
    assert program["argument_bytes"] > 8 * plan["parameters"]
    assert program["flops_per_step"] == pytest.approx(
        3 * program["forward_flops"], rel=0.1
    )  # pictures have no gradient
    assert plan["input_per_s"] > 0 and plan["pictures_per_s"] is None and plan["needs"] == []
    assert "8 devices" not in refused("plan", "--config", file, "--devices", 4096)


def test_public_data_need_not_be_here(monkeypatch, tmp_path, said):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    config = plans.without_missing_data(configs.load("voc"))
    assert config.data.source == config.evaluation.source == "blank:20,16551"
    assert any("tfds:voc/2007+voc/2012 is not here" in line for line in said)
    assert len(config.model.anchors_cells) == 5
    assert plans.without_missing_data(configs.load("darknet19")).data.source == "blank:1000,1281167,labels"
    joint = plans.without_missing_data(configs.load("yolo9000"))
    assert joint.data.source == "blank:yolo9000.tree,118287"
    assert joint.classification.source == "blank:yolo9000.tree,10000000,labels"


@pytest.mark.parametrize(
    ("topology", "near"),
    [
        ("v5e:3x5", "v5e:4x4"),
        ("v5:4x4", "v5"),
        ("v4:2x2x3", "v4:2x2x4"),
        ("v9e:2x2", "e:2x2"),
        ("v5e", "v5e:4x4"),
        ("v5e:4x", "v5e"),
        ("4x4", "v"),
    ],
)
def test_a_slice_that_does_not_exist(monkeypatch, refused, topology, near):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    if topology in ("v5e:3x5", "v4:2x2x3"):  # which libtpu has to say
        assert chips._nearest(*topology.split(":")) == near
        return
    line = refused("plan", "--config", "voc", "--topology", topology)
    assert f"--topology {topology}: there is no such slice" in line and near in line.split("did you mean ")[1]


def test_without_libtpu(monkeypatch, refused):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    line = refused("plan", "--config", "voc", "--topology", "v5e:4x4")
    assert "libtpu is not installed" in line and "yolo9000_jax[plan]" in line


def test_a_batch_that_does_not_divide(monkeypatch, refused):
    monkeypatch.setattr(chips, "topology_devices", lambda name: [None] * 24)
    line = refused("plan", "--config", "voc", "--topology", "v5e:4x6")
    assert "batch_size 64 does not divide among 24 devices" in line


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu, the TPU's compiler, is not installed")
def test_the_tpus_own_compiler(tmp_path):
    """Four chips: their memory, one sum of all gradients over all of them, and no host in between."""
    out = tmp_path / "plan.json"
    command = [sys.executable, "-m", "yolo9000_jax", "plan", "--config", "voc", "--topology", "v5e:2x2"]
    changes = ["--config.model.width=0.0625", "--config.multi_scale=(64,)", f"--json={out}"]
    environment = os.environ | {"TFDS_DATA_DIR": str(tmp_path), "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}
    subprocess.run([*command, *changes], check=True, cwd=ROOT, env=environment)
    plan = json.loads(out.read_text())
    (program,) = plan["programs"]
    assert (plan["devices"], plan["hosts"], program["device_bytes"]) == (4, 1, 16 * chips.GIB)
    assert program["groups"] == 1 and program["other_collectives"] == program["host_transfers"] == 0
    assert 4 * plan["parameters"] < program["all_reduce_bytes"] < 4.1 * plan["parameters"]
    assert program["fits"] and plan["chip_hours"] > 0


def test_blank_pictures():
    pictures = open_source("blank:3,10", "train")
    assert (len(pictures), pictures.classes, pictures[4].labels.tolist()) == (
        10,
        ("class 0", "class 1", "class 2"),
        [1],
    )
    assert pictures[0].read().shape == (pictures[0].height, pictures[0].width, 3)
    assert len({tuple(row) for row in pictures.box_shapes().tolist()}) > 5
    labelled = open_source("blank:2,6,labels", "train[:50%]")
    assert len(labelled) == 3 and labelled[0].boxes_xyxy.shape == (0, 4) and len(labelled[0].labels) == 1
    assert open_source("blank:2,6", "val").fingerprint() != open_source("blank:2,6", "train").fingerprint()
    assert open_source(f"blank:{ROOT / 'experiments/trees/blood_cells.tree'},4").classes


@pytest.mark.parametrize("location", ["3", "0,5", "3,0", "x,4", "3,4,boxes", "3,4,labels,", "-1,4"])
def test_blank_pictures_that_are_mistyped(location):
    with pytest.raises(UserError, match="blank:20,16551") as caught:
        open_source(f"blank:{location}")
    assert "\n" not in str(caught.value)
