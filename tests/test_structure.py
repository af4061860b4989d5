"""The package's imports: one direction, no circle, TensorFlow where it belongs.

They are read from the source, not run, so those inside functions and those for type checkers count as well.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers import ROOT

NAME = "yolo9000_jax"

# The project's own rule: a part of the package may import itself and those before it, nothing after it. With each, why
# it stands there.
ORDER = {
    "text": "any part may have something to print",
    "html": "any part may show itself in a notebook",
    "errors": "any part may find a mistake of the user's",
    "values": "any part may be given numbers and texts of a file",
    "files": "writing whole files, and reading those of other systems",
    "labels": "class names, out of files",
    "logs": "any part may have something to say",
    "buckets": "paths in a bucket, for places alone",
    "places": "any part may be given a path, here or in a bucket",
    "devices": "any part may say what it runs on",
    "hosts": "any part may do a share of its work on each",
    "shapes": "any part may be handed an array of the wrong shape",
    "config": "what was asked for: plain values, with no idea of what is made of them",
    "images": "pixels: no boxes, no networks",
    "wordtree": "classes that form a tree",
    "boxes": "geometry, priors, decoding, suppression; going down a tree of classes",
    "losses": "functions of boxes, trees and grids; they take plain arguments",
    "models": "networks, and which head and loss belong to one",
    "data": "pictures with boxes and labels, made into batches",
    "workdir": "what a run leaves in its folder, networks described there included",
    "darknet": "Darknet's files into our networks and workdirs, and back",
    "evaluation": "numbers, from whatever predicts",
    "tasks": "model + loss + data + evaluation",
    "report": "pictures and tables of the numbers",
    "predict": "a trained network for people: its results are drawn, so it stands above the drawing",
    "export": "a trained network for other programs, with what predict does to its output",
    "notebook": "shows pictures and curves: needs what draws them",
    "training": "runs a task, and reports on it",
    "cli": "one library call a verb",
    "__main__": "python -m",
}
TENSORFLOW = ("tensorflow", "tensorflow_datasets")  # costs seconds and 700 MB: only who trains or exports pays for it
OUTSIDE = ("tests", "experiments")  # what stands on the package
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
BY_NAME = ("import_module", "__import__")  # functions that import what a string names


class Import(NamedTuple):
    """One module imports another, or a name of it."""

    file: Path
    line: int
    importer: str  # both dotted, with the package's name
    imported: str
    late: bool  # inside a function: only when that is called

    def __str__(self) -> str:
        return f"{self.file.as_posix()}:{self.line} imports {self.imported}"


class Package:
    """The modules of a package, and what they import.

    Args:
        root: the folder that holds the package's.
    """

    def __init__(self, root: Path):
        files = sorted((root / NAME).rglob("*.py"))
        self.modules = {_dotted(file.relative_to(root)): file.relative_to(root) for file in files}
        self.imports = [found for name in self.modules for found in self._imports_of(name, root)]

    def _imports_of(self, importer: str, root: Path) -> Iterator[Import]:
        file = self.modules[importer]
        tree = ast.parse((root / file).read_text(), str(file))
        late = {id(inner) for outer in ast.walk(tree) if isinstance(outer, FUNCTIONS) for inner in ast.walk(outer)}
        for node in ast.walk(tree):
            imported_here = self._imported(node, importer, is_package=file.name == "__init__.py")
            for imported in dict.fromkeys(imported_here):
                yield Import(file, node.lineno, importer, imported, id(node) in late)

    def _imported(self, node: ast.AST, importer: str, is_package: bool) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = importer.split(".")[: -node.level + is_package or None] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            inside = [f"{module}.{alias.name}" for alias in node.names if alias.name != "__version__"]
            return [name if name in self.modules else module for name in inside]
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in BY_NAME:
            return [given.value for given in node.args[:1] if isinstance(given, ast.Constant)]
        return []

    @property
    def inner(self) -> list[Import]:
        """The imports of the package's own modules.

        Not those of its `__init__`: it names what a user may want, from anywhere, and imports a thing when it is used.
        """
        return [found for found in self.imports if found.imported.split(".")[0] == NAME and found.importer != NAME]

    def unknown_parts(self) -> list[str]:
        """Modules that have no place in the order."""
        return [
            f"{file.as_posix()}: {_part(name)} has no place in ORDER; give it one, with the reason"
            for name, file in self.modules.items()
            if name != NAME and _part(name) not in ORDER
        ]

    def upwards(self) -> list[str]:
        """Imports of a part that stands later in the order, or of the whole package, which hides what is meant."""
        found, parts = [], list(ORDER)
        for each in self.inner:
            if each.imported == NAME:
                found.append(f"{each}, the whole package; import from the module that has it")
            elif {_part(each.importer), _part(each.imported)} <= ORDER.keys():
                low, high = _part(each.importer), _part(each.imported)
                if parts.index(low) < parts.index(high):
                    found.append(f"{each}; {low} ({ORDER[low]}) stands before {high} ({ORDER[high]})")
        return found

    def circles(self) -> list[str]:
        """Chains of imports that come back to where they begin, the shortest of each set of modules that form one."""
        arrows: dict[str, dict[str, Import]] = {name: {} for name in self.modules}
        for each in self.inner:
            if each.imported in arrows and each.imported not in (each.importer, NAME):
                arrows[each.importer].setdefault(each.imported, each)
        reached = {name: _reached(name, arrows) for name in arrows}
        sets = {frozenset(other for other in reached[name] if name in reached[other]) for name in arrows}
        return ["; ".join(map(str, _shortest_circle(members, arrows))) for members in sets if members]

    def tensorflow(self) -> list[str]:
        """Imports of TensorFlow outside data/ and, late, export/: who exports to another format does not pay for it."""
        return [
            f"{each}; only data/ does, and export/ inside a function"
            for each in self.imports
            if each.imported.split(".")[0] in TENSORFLOW
            and _part(each.importer) != "data"
            and not (_part(each.importer) == "export" and each.late)
        ]

    def outside(self) -> list[str]:
        """Imports of tests or experiments, which an installed package does not have beside it."""
        return [f"{each}" for each in self.imports if each.imported.split(".")[0] in OUTSIDE]


def _dotted(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _part(module: str) -> str:
    """yolo9000_jax.boxes.nms -> boxes; "" for the package itself."""
    return (module.split(".") + [""])[1]


def _reached(start: str, arrows: dict[str, dict[str, Import]]) -> set[str]:
    """All modules that the start's imports lead to; the start too, if they lead back."""
    found: set[str] = set()
    open_ends = [start]
    while open_ends:
        new = set(arrows[open_ends.pop()]) - found
        found |= new
        open_ends += new
    return found


def _shortest_circle(members: frozenset[str], arrows: dict[str, dict[str, Import]]) -> list[Import]:
    """Breadth first from each member, through members only."""
    circles = []
    for start in sorted(members):
        ways: list[list[Import]] = [[each] for name, each in arrows[start].items() if name in members]
        seen = set()
        while ways:
            way = ways.pop(0)
            end = way[-1].imported
            if end == start:
                circles.append(way)
                break
            if end not in seen:
                seen.add(end)
                ways += [[*way, each] for name, each in arrows[end].items() if name in members]
    return min(circles, key=len)


@pytest.fixture(scope="module")
def package() -> Package:
    return Package(ROOT)


RULES = ("unknown_parts", "upwards", "circles", "tensorflow", "outside")


@pytest.mark.parametrize("rule", RULES)
def test_the_package(package, rule):
    broken = getattr(package, rule)()
    if broken:
        pytest.fail("\n".join([f"{rule}: {len(broken)}", *broken]), pytrace=False)


def test_all_that_is_imported_is_there(package):
    """So no arrow is overlooked for a name that was read wrongly."""
    missing = [str(each) for each in package.inner if each.imported not in package.modules]
    assert not missing, "\n".join(missing)
    assert len(package.modules) > 50 and len(package.inner) > 100


def test_no_arrow_is_overlooked(package):
    """What Python loads of ours for a module, its imports lead to; `__init__`s it loads on its own account."""
    arrows: dict[str, dict[str, Import]] = {module: {} for module in package.modules}
    for each in package.inner:
        arrows[each.importer].setdefault(each.imported, each)
        part = each.imported.rpartition(".")[0]
        if part != NAME:  # its `__init__` runs before the module
            arrows[each.importer].setdefault(part, each)
    name = f"{NAME}.predict.files"
    program = f"import sys, {name}; print(*[module for module in sys.modules if module.startswith('{NAME}.')])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {module for module in done.stdout.split() if package.modules[module].name != "__init__.py"}
    assert len(loaded) > 5 and loaded <= _reached(name, arrows) | {name}


# A small package that breaks each rule once, and where.
FILES = {
    "__init__.py": "import importlib\nfrom yolo9000_jax.training.loop import train\n",
    "errors.py": "",
    "logs.py": "def a():\n    from yolo9000_jax.boxes.nms import nms\n",
    "tools.py": "",
    "export/__init__.py": "",
    "export/graph.py": "import tensorflow as tf\ndef a():\n    import tensorflow\n",
    "boxes/__init__.py": "",
    "boxes/nms.py": "from . import iou\nfrom yolo9000_jax import errors\n",
    "boxes/iou.py": "def a():\n    async def b():\n        from ..boxes.area import area\n",
    "boxes/area.py": "import importlib\nimportlib.import_module('yolo9000_jax.boxes.nms')\n",
    "data/__init__.py": "from yolo9000_jax.data import read\n",
    "data/read.py": "import tensorflow.io\nfrom yolo9000_jax import nms, errors, __version__\n",
    "models/__init__.py": "from yolo9000_jax.models.a import one\n",
    "models/a.py": "from yolo9000_jax.models import two\n",
    "training/__init__.py": "",
    "training/loop.py": "from tensorflow_datasets import x\nimport tests.tiny\nfrom yolo9000_jax import __version__\n",
}
EXPECTED = {
    "unknown_parts": ["yolo9000_jax/tools.py: tools has no place"],
    "upwards": [
        "yolo9000_jax/data/read.py:2 imports yolo9000_jax, the whole package",
        "yolo9000_jax/logs.py:2 imports yolo9000_jax.boxes.nms; logs (any part",
    ],
    "circles": [
        "yolo9000_jax/boxes/area.py:2 imports yolo9000_jax.boxes.nms; "
        "yolo9000_jax/boxes/nms.py:1 imports yolo9000_jax.boxes.iou; "
        "yolo9000_jax/boxes/iou.py:3 imports yolo9000_jax.boxes.area",
        "yolo9000_jax/models/__init__.py:1 imports yolo9000_jax.models.a; "
        "yolo9000_jax/models/a.py:1 imports yolo9000_jax.models",
    ],
    "tensorflow": [
        "yolo9000_jax/export/graph.py:1 imports tensorflow;",
        "yolo9000_jax/training/loop.py:1 imports tensorflow_datasets;",
    ],
    "outside": ["yolo9000_jax/training/loop.py:2 imports tests.tiny"],
}


@pytest.mark.parametrize("rule", RULES)
def test_what_breaks_the_rules_is_found(rule, tmp_path):
    for name, text in FILES.items():
        (tmp_path / NAME / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / NAME / name).write_text(text)
    found = sorted(getattr(Package(tmp_path), rule)())
    assert len(found) == len(EXPECTED[rule]), found
    for line, start in zip(found, EXPECTED[rule], strict=True):
        assert line.startswith(start)
