"""`import yolo9000_jax` is quick and loads nothing heavy; its names are there when they are used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import yolo9000_jax as y9
from tests.helpers import ROOT, golden_net
from yolo9000_jax.errors import UserError


def run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_but_the_standard_library():
    program = "import sys, yolo9000_jax; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(run(program).split()) - set(run("import sys; print(*sys.modules)").split())
    assert loaded <= sys.stdlib_module_names | {"yolo9000_jax"}


def test_detecting_and_evaluating_need_no_extra(tmp_path):
    cfg, weights = golden_net("yolov2-tiny-voc-s16", tmp_path)
    program = """
import sys
for name in ('tensorflow', 'tensorboard', 'matplotlib', 'av', 'nltk'):
    sys.modules[name] = None  # as if it were not installed
import yolo9000_jax as y9
from yolo9000_jax.predict import files
detector = y9.load_darknet(sys.argv[1], sys.argv[2])
detector(y9.sample().image, threshold=0.01).save(sys.argv[3])
y9.show(detector(y9.sample().image))
y9.show(y9.sample())
y9.WordTree.packaged('emoji'), y9.open_source, y9.evaluate
file = f'{sys.argv[3]}.mp4'
open(file, 'w').close()
print(*[item.get('error', '') for item in files.predict(detector, [file, sys.argv[3]])], sep='\\n')
try:
    y9.history
except y9.UserError as error:
    print(error)
y9.train  # TensorFlow is imported when it begins
"""
    picture = tmp_path / "found.png"
    shown, sample, video, no_error, *plots = run(program, str(cfg), str(weights), str(picture)).split("\n")
    assert sample == "<Sample 320x240: ball, box, cone>"
    assert shown.startswith("1 picture: ") and picture.stat().st_size > 1000 and no_error == ""
    assert video == f"{picture}.mp4: videos are read with PyAV: pip install 'yolo9000_jax[video]'"
    expected = (
        "curves and plots are drawn with Matplotlib: pip install 'yolo9000_jax[plots]', "
        "or to train [demo], [tpu] or [cuda]"
    )
    assert plots == [expected, ""]


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
