"""Showing things in a notebook, and watching a run there."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.html import card, picture
from yolo9000_jax.logs import logger
from yolo9000_jax.logs import show as show_logs
from yolo9000_jax.predict.pictures import are_many, to_pixels
from yolo9000_jax.predict.result import Result
from yolo9000_jax.report.batch import draw_batch
from yolo9000_jax.report.draw import contact_sheet
from yolo9000_jax.tasks.task import Preview

COLUMNS = 4
REDRAW_S = 2.0  # at least, between two drawings of a curve


def show(*things: Any, columns: int = COLUMNS) -> None:
    """Shows pictures side by side, and whatever shows itself, in a notebook; elsewhere prints what they are.

    Args:
        things: results, pictures (of any kind that a detector takes), a training batch (`task.preview(batch)`), lists
            of them, or anything that shows itself: a detector, a data set, a tree, priors, a config, a history.
        columns: pictures in a row.

    Raises:
        UserError: a picture cannot be read, or there is nothing to show.
    """
    display = _display()
    each = list(_each(things))
    if not each:
        raise UserError("show: nothing to show; give it results, pictures, or anything that shows itself")
    pictures: list[np.ndarray] = []
    for thing in each:
        pixels = _pixels(thing)
        if pixels is not None:
            pictures.append(pixels)
        else:
            _show_one(thing, display)
    if not pictures:
        return
    if display is None:
        what = "1 picture: to see it" if len(pictures) == 1 else f"{len(pictures)} pictures: to see them"
        print(f"{what}, call this in a notebook, or Result.save(FILE)")
        return
    sheet = pictures[0] if len(pictures) == 1 else contact_sheet(pictures, columns=min(columns, len(pictures)))
    display.display(display.HTML(card("", None, picture(sheet, side=max(sheet.shape)))))


@contextmanager
def watch(workdir: str | PathLike[str]) -> Iterator[None]:
    """While the block runs, the curves of the run in `workdir` are drawn anew below the cell as it reports.

        with y9.watch("runs/mine"):
            y9.train(config, "runs/mine")

    Elsewhere than in a notebook it does nothing: the run prints its lines either way.
    """
    display = _display()
    if display is None:
        yield
        return
    show_logs()
    drawing = _Drawing(workdir, display.display(display.HTML(""), display_id=True))
    logger.addHandler(drawing)
    try:
        yield
    finally:
        logger.removeHandler(drawing)
        drawing.draw()


class _Drawing(logging.Handler):
    """Draws the curves when the run has said something; between two steps, so that nothing is done at once."""

    def __init__(self, workdir: str | PathLike[str], handle: Any):
        super().__init__()
        from yolo9000_jax.report.history import history  # needs Matplotlib, which `show` does without

        self._history, self._workdir, self._handle, self._next = history, workdir, handle, 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if time.monotonic() > self._next:
            self.draw()

    def draw(self) -> None:
        began = time.monotonic()
        try:
            measured = self._history(self._workdir)
        except UserError:  # nothing is written yet
            return
        if measured.series:
            self._handle.update(measured)
        now = time.monotonic()
        self._next = now + max(REDRAW_S, 20 * (now - began))  # long curves take long to draw


def _each(things: Iterable[Any]) -> Iterator[Any]:
    """The things, and those in lists of them."""
    for thing in things:
        if isinstance(thing, Preview) or hasattr(thing, "_repr_html_") or not are_many(thing):
            yield thing
        else:
            yield from _each(thing)


def _pixels(thing: Any) -> np.ndarray | None:
    """The picture that one thing is shown by; None where it shows itself."""
    if isinstance(thing, Result):
        return thing.draw()
    if isinstance(thing, Preview):
        return draw_batch([thing])
    return None if hasattr(thing, "_repr_html_") else to_pixels(thing)


def _show_one(thing: Any, display: Any) -> None:
    if display is None:
        print(thing)
    else:
        display.display(thing)


def _display() -> Any:
    """IPython's display module inside a notebook, else None."""
    try:
        from IPython import display, get_ipython
    except ImportError:
        return None
    return display if get_ipython() is not None else None
