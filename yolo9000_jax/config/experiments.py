"""Config files: where they are, shipped ones by name, and running them with the files beside them."""

import difflib
import importlib
import importlib.util
import inspect
import sys
from ast import literal_eval
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from os import PathLike, path
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from yolo9000_jax.config.merging import complete, convert, one_line
from yolo9000_jax.errors import UserError

PACKAGE = Path(__file__).resolve().parent.parent


@cache
def shipped_folder() -> Path:
    """The folder of the experiments that come with the package: in it, or in a clone of the repository beside it."""
    inside = PACKAGE / "experiments"
    return inside if inside.is_dir() else PACKAGE.parent / "experiments"


@cache
def shipped() -> tuple[str, ...]:
    """The names of the experiments that come with the package."""
    files = sorted(shipped_folder().glob("*.py"))
    return tuple(file.stem for file in files if "def get_config(" in file.read_text(encoding="utf-8"))


def find(experiment: str | PathLike) -> tuple[Path, str]:
    """The config file and the row ("": none given) of `FILE.py[:ROW]`, or of the `NAME[:ROW]` of a shipped experiment.

    ".py" may be left out of FILE where this is no shipped experiment's name.

    Raises:
        UserError: there is no such file or experiment, or NAME may mean two files.
    """
    text = str(experiment)
    if ".py:" in text or text.endswith(".py"):
        name, _, row = text.removesuffix(".py").partition(".py:")
        file = Path(f"{name}.py")
        if not file.is_file():
            raise UserError(f"{file}: no such config file; shipped ones go by name: {', '.join(shipped())}")
        return file, row
    name, _, row = text.partition(":")
    file, ours = Path(f"{name}.py"), shipped_folder() / f"{name}.py"
    if name not in shipped():
        if not file.is_file():
            near = difflib.get_close_matches(name, shipped(), 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(shipped())}"
            raise UserError(
                f"{name}: no experiment of this name is shipped; {hint} (a file of yours is written FILE.py)"
            )
        return file, row
    if file.is_file() and not file.samefile(ours):
        raise UserError(f"{name}: is the name of a shipped experiment and of the file {file}: write {file}, or {ours}")
    return ours, row


def load_module(experiment: str | PathLike) -> ModuleType:
    """A config file, or shipped experiment, as a module. Raises UserError where it is missing or fails."""
    file, _ = find(experiment)
    with _neighbours(file), _explained(file, experiment):
        return _execute(file)


def run(experiment: str | PathLike, arguments: dict[str, str]) -> ConfigDict:
    """The complete config that `get_config(row=…)` of a config file returns.

    Args:
        experiment: as for `find`.
        arguments: texts of further arguments of `get_config` by their names, each read as the type of its default;
            what is used is taken out.

    Raises:
        UserError: the file is missing or fails, an argument or a value of the config is wrong.
    """
    file, row = find(experiment)
    given = {}
    with _neighbours(file):
        with _explained(file, experiment):
            module = _execute(file)
            known = list(inspect.signature(module.get_config).parameters.values())[1:]
        for argument in known:
            if argument.name in arguments:
                value = parse(arguments.pop(argument.name))
                given[argument.name] = convert(value, argument.default, f"--config: {argument.name}")
        with _explained(file, experiment):
            config = module.get_config(row, **given) if row else module.get_config(**given)
    return complete(config, str(file))


def parse(text: str) -> Any:
    """The Python value that a text of the command line writes, or else the text itself."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "null": None}.get(text.lower(), text)


def beside(file: str, name: str) -> str:
    """The path of a file that lies beside a config file (`__file__`), such as a tree.

    Below the working directory it is relative to it, so that the config is the same wherever a clone lies.
    """
    found = Path(file).resolve().parent / name
    here = Path.cwd()
    return str(found.relative_to(here)) if found.is_relative_to(here) else str(found)


def unknown_row(row: str, rows: Iterable[str] = ()) -> UserError:
    """The error of a config file that has no such row."""
    rows = list(rows)
    if not rows:
        return UserError(f"there is no row {row!r}; this file has a single experiment: leave :{row} out")
    near = difflib.get_close_matches(row, rows, 1)
    hint = f"did you mean {near[0]}?" if near else f"the rows are {', '.join(rows)}"
    return UserError(f"there is no row {row!r}; {hint}")


def _execute(file: Path) -> ModuleType:
    name = file.stem if file.stem not in sys.modules else f"{file.stem}_experiment"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # of a path that ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as any import does, and for what looks itself up there, such as dataclasses
    spec.loader.exec_module(module)
    return module


@contextmanager
def _explained(file: Path, experiment: str | PathLike) -> Iterator[None]:
    """Errors of what a config file does become UserErrors that name it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except Exception as error:  # it is the user's program
        raise UserError(f"{experiment}: {type(error).__name__}: {one_line(error)}") from error


@contextmanager
def _neighbours(file: Path) -> Iterator[None]:
    """Inside, `import NAME` finds the NAME.py beside `file` first, read anew; afterwards all is as it was before.

    So two folders of experiments, such as a copy in which something was changed, do not get each other's modules. What
    is imported inside from elsewhere, such as NumPy, stays imported.
    """
    folder = file.resolve().parent
    names = {neighbour.stem for neighbour in folder.glob("*.py")} - sys.stdlib_module_names - {"__main__", "__init__"}
    paths, before = list(sys.path), dict(sys.modules)
    hidden = {name: before[name] for name in names if name in before and not hasattr(before[name], "__path__")}
    for name in hidden:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        temporary = {Path(entry).resolve() for entry in set(sys.path) - set(paths)} | {folder}
        sys.path[:] = paths
        new = [name for name, module in sys.modules.items() if before.get(name) is not module]
        tops = {name.partition(".")[0] for name in new}
        gone = {top for top in tops if (top in hidden or top not in before) and _home(top) in temporary}
        for name in new:
            if name.partition(".")[0] in gone:
                del sys.modules[name]
        sys.modules.update(hidden)


def _home(name: str) -> Path | None:
    """The folder in which a module that is imported, or a package, lies; None of one without a file."""
    module = sys.modules.get(name)
    places = [path.dirname(place) for place in getattr(module, "__path__", ())] or [
        path.dirname(file) for file in [getattr(module, "__file__", None)] if file
    ]
    return Path(places[0]).resolve() if places else None
