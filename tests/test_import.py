"""`import yolo9000_jax` is quick and loads nothing heavy; its names are there when they are used."""

import ast
import importlib
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

import yolo9000_jax as y9
from tests.helpers import ROOT
from yolo9000_jax.errors import UserError


def run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_quick_and_light():
    heavy = ("tensorflow", "jax", "flax", "matplotlib")
    program = f"import sys, yolo9000_jax; print(*[m for m in {heavy} if m in sys.modules])"
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        assert run(program).split() == []
        seconds.append(time.perf_counter() - started)
    assert statistics.median(seconds) < 1.5


def test_detecting_and_evaluating_need_no_tensorflow():
    program = """
import sys
import yolo9000_jax as y9
from yolo9000_jax import cli
from yolo9000_jax.predict import files
y9.load, y9.YoloV2, y9.Detector, y9.open_source, y9.evaluate
print(*[m for m in ('tensorflow', 'matplotlib', 'tensorboard') if m in sys.modules])
y9.train
print(*[m for m in ('tensorflow', 'tensorboard') if m in sys.modules])
"""
    assert run(program).split() == []


@pytest.mark.parametrize("name", y9.__all__)
def test_names_resolve(name):
    assert getattr(y9, name) is not None
    assert name in dir(y9)


def test_names_do_not_depend_on_what_was_imported_before():
    """A submodule becomes an attribute of the package as soon as anybody imports it."""
    program = """
import importlib, sys
import yolo9000_jax as y9
if sys.argv[-1] == "after":
    for name in ("config", "boxes.decode", "boxes.nms", "boxes.priors", "predict", "training.loop"):
        importlib.import_module("yolo9000_jax." + name)
print({name: type(getattr(y9, name)).__name__ for name in y9.__all__})
"""
    assert run(program, "before") == run(program, "after")


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(y9.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {}
    for statement in block.body:
        for alias in statement.names:
            assert alias.asname == alias.name, "else it is not one of the package's own names"
            module = importlib.import_module(statement.module)
            seen[alias.name] = getattr(module, alias.name, None) or importlib.import_module(
                f"{module.__name__}.{alias.name}"
            )
    assert sorted(seen) == y9.__all__
    assert all(getattr(y9, name) is value for name, value in seen.items())
    assert (Path(y9.__file__).parent / "py.typed").is_file()


def test_what_the_functions_raise_is_among_the_names():
    assert {"Stopped", "UserError"} <= set(y9.__all__)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'Yolo'"):
        y9.Yolo  # noqa: B018


def test_training_without_tensorflow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "yolo9000_jax.data.pipeline", raising=False)
    with pytest.raises(UserError, match="pip install"):
        importlib.import_module("yolo9000_jax.data.pipeline")
