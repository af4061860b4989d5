"""Where experiments are found: shipped ones by name from anywhere, files, and the files beside a file."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.config.refusal import refusal
from tests.helpers import ROOT
from yolo9000_jax import config as configs

EXPERIMENTS = ROOT / "experiments"
PLAIN = (
    "from yolo9000_jax import config\ndef get_config(row=None):\n    c = config.detection()\n    c.steps = {}\n"
    "    return c\n"
)


def test_shipped():
    assert set(configs.shipped()) == {
        *("ablation", "blood_cells", "coco", "darknet19", "demo", "extraction", "fruit", "my_data", "voc"),
        *("wordtree1k", "yolo9000", "yolo9000_blood_cells", "yolo9000_emoji", "yolo9000_photos"),
    }


def test_by_name_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in configs.shipped():
        assert configs.load(name) == configs.load(f"{EXPERIMENTS / name}.py")
    assert configs.load("voc:darknet").name == "voc_darknet"
    assert configs.load("ablation:passthrough", {"dataset": "emoji"}).name == "ablation_emoji"
    assert hasattr(configs.load_module("ablation"), "TABLE")
    tree = configs.load("yolo9000_blood_cells").model.tree
    assert os.path.isfile(tree)


def test_paths_beside_a_file(tmp_path, monkeypatch):
    """Relative where they can be, so that a clone may be moved."""
    monkeypatch.chdir(ROOT)
    assert configs.load("yolo9000_blood_cells").model.tree == "experiments/trees/blood_cells.tree"
    (tmp_path / "a").mkdir()
    assert configs.beside(str(tmp_path / "a/b.py"), "c.tree") == str(tmp_path / "a/c.tree")


@pytest.mark.parametrize(
    "experiment, parts",
    [
        ("vok", ["vok: no experiment of this name is shipped; did you mean voc?", "FILE.py"]),
        ("qqqqqq:row", ["qqqqqq: no experiment", "there are ablation, blood_cells"]),
        ("voc:dark", ["there is no row 'dark'; did you mean darknet?"]),
        ("some/voc.py", ["some/voc.py: no such config file", "ablation, blood_cells"]),
        ("some/voc.py:darknet", ["some/voc.py: no such config file"]),
        ("yolo9000_blood_cells_data", ["no experiment of this name", "did you mean yolo9000_blood_cells?"]),
        ("", ["no experiment of this name"]),
    ],
)
def test_what_is_not_there(experiment, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refusal(configs.load, experiment)
    assert all(part in message for part in parts), message


def test_a_name_that_is_also_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voc.py").write_text(PLAIN.format(3))
    message = refusal(configs.load, "voc")
    assert "write voc.py, or " in message and str(EXPERIMENTS / "voc.py") in message
    assert configs.load("voc.py").steps == 3
    monkeypatch.chdir(EXPERIMENTS)
    assert configs.load("voc").name == "voc_paper"  # one and the same


# Files beside the file.


@pytest.fixture
def copies(tmp_path):
    """Two folders of a file and the one it imports, which differ in what that says."""
    for place, steps in (("a", 3), ("b", 4)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "base.py").write_text(PLAIN.format(steps))
        (tmp_path / place / "more.py").write_text(
            "import base\ndef get_config(row=None):\n    c = base.get_config()\n    c.name = 'more'\n    return c\n"
        )
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_stays():
    """Every test leaves the interpreter's modules and paths as they were, but for what is installed."""
    before, paths = dict(sys.modules), list(sys.path)
    yield
    assert sys.path == paths
    assert all(sys.modules.get(name) is module for name, module in before.items())
    places = [getattr(sys.modules[name], "__file__", None) or "" for name in set(sys.modules) - set(before)]
    assert not [place for place in places if place.startswith(("/tmp", str(EXPERIMENTS)))]


def test_copies_use_their_own_neighbours(copies):
    assert [configs.load(str(copies / place / "more.py")).steps for place in "abab"] == [3, 4, 3, 4]
    (copies / "a/base.py").write_text(PLAIN.format(55))
    assert configs.load(str(copies / "a/more.py")).steps == 55


def test_an_edited_copy_of_the_shipped_ones(tmp_path):
    configs.load("ablation:yolo")
    for path in EXPERIMENTS.glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text().replace("c.epochs = 10\n", "c.epochs = 11\n"))
    configs.load("voc")
    for name in ("voc", "coco", "ablation"):
        assert configs.load(f"{tmp_path / name}.py").pretraining.epochs == 11
        assert configs.load(name).pretraining.epochs == 10


def test_modules_of_the_same_name_that_are_loaded_already(copies, monkeypatch):
    """Somebody's own module `base` is neither used nor lost, nor is one of the standard library."""
    base = type(sys)("base")
    monkeypatch.setitem(sys.modules, "base", base)
    (copies / "a/json.py").write_text("1 / 0")
    assert configs.load(str(copies / "a/more.py")).steps == 3
    assert sys.modules["base"] is base


def test_nested_loads(copies):
    """A file that loads another one, in its own folder or elsewhere, and then goes on."""
    (copies / "a/outer.py").write_text(
        "import base\n"
        "from yolo9000_jax import config\n"
        f"inner = config.load({str(copies / 'b/more.py')!r})\n"
        "def get_config(row=None):\n"
        f"    own = config.load({str(copies / 'a/more.py')!r})\n"
        "    import base as late\n"
        "    c = base.get_config()\n"
        "    c.steps = 100 * inner.steps + 10 * own.steps + late.get_config().steps\n"
        "    return c\n"
    )
    assert configs.load(str(copies / "a/outer.py")).steps == 433


def test_files_that_change_the_path_themselves(copies, tmp_path):
    (tmp_path / "outer.py").write_text(
        f"import sys\nsys.path.insert(0, {str(copies / 'b')!r})\nfrom base import get_config\n"
    )
    assert configs.load(str(tmp_path / "outer.py")).steps == 4


def test_files_that_fail_leave_nothing(copies):
    (copies / "a/bad.py").write_text("import base\n1 / 0\n")
    assert "division by zero" in refusal(configs.load, str(copies / "a/bad.py"))


def test_dataclasses_in_files(tmp_path):
    """They look their module up by its name."""
    (tmp_path / "a.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Set:\n    name: str\n" + PLAIN.format("len(Set('abc').name)")
    )
    assert configs.load(str(tmp_path / "a.py")).steps == 3


# Installed.


@pytest.mark.slow
def test_installed_by_pip(tmp_path):
    """A wheel holds the experiments and their trees, and names find them where there is no clone."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    source = tmp_path / "source"
    for folder in ("yolo9000_jax", "experiments"):
        shutil.copytree(ROOT / folder, source / folder)
    for file in ("setup.py", "README.md"):
        shutil.copy(ROOT / file, source)
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True)
    (built,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", built], check=True)
    program = (
        "import yolo9000_jax, os; from yolo9000_jax import config\n"
        "for name in config.shipped(): config.load(name)\n"
        "print(yolo9000_jax.__file__, len(config.shipped()), config.load('voc:darknet').name)\n"
        "print(config.load('ablation:passthrough', {'dataset': 'emoji'}).name)\n"
        "assert os.path.isfile(config.load('yolo9000_blood_cells').model.tree)\n"
        "assert os.path.isfile(os.path.join(os.path.dirname(yolo9000_jax.__file__), 'py.typed'))\n"
    )
    (tmp_path / "empty").mkdir()
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "empty", env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "site") in done.stdout and "13 voc_darknet" in done.stdout and "ablation_emoji" in done.stdout
