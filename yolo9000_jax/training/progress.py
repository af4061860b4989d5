"""How far a training is, for who watches: a bar that stays below the messages in a terminal, plain lines elsewhere."""

import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext

from tqdm import tqdm

from yolo9000_jax import logs
from yolo9000_jax.logs import duration, logger

PARTS = "loss_"  # before the name of a part of the loss
BAR = "{percentage:3.0f}% {bar:16} {desc}"  # what does not fit is cut off at its end


class Progress:
    """Tells of a run's steps.

    In a terminal (the standard output is one, and TERM is not "dumb") what was told last stands beside a bar at the
    foot, which moves with every step. Elsewhere, in a file, a notebook or another program, or where the logger has a
    handler of the program's own, each telling is a line.

    Args:
        start, end: steps done before, and the last one.
        shown: whether this process speaks, as one host of a run does.
    """

    def __init__(self, start: int, end: int, shown: bool = True):
        self._end = end
        self._bar: tqdm | None = None
        if shown and start < end and logs.is_only_printed() and _is_terminal():
            self._bar = tqdm(total=end, initial=start, bar_format=BAR, file=sys.stdout, leave=False, dynamic_ncols=True)
            self._bar.set_description_str(f"step {start}/{end}")
            logs.around = lambda: tqdm.external_write_mode(file=sys.stdout)

    def step(self, number: int) -> None:
        """A step is on its way."""
        if self._bar is not None:
            self._bar.update(number - self._bar.n)

    def tell(
        self, number: int, metrics: Mapping[str, float], epoch: float | None = None, left_s: float | None = None
    ) -> None:
        """What the steps up to this one gave.

        Args:
            number: the last step that is done.
            metrics: "loss", its parts as "loss_NAME", and, where they are known, "images_per_s", "waiting_share" and
                "device_memory_gib".
            epoch: passes over the data so far.
            left_s: seconds that the rest will take; None: not known.
        """
        line = describe(number, self._end, metrics, epoch, left_s)
        if self._bar is None:
            logger.info(line)
        else:
            self._bar.set_description_str(line)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar, logs.around = None, nullcontext


def describe(
    number: int, end: int, metrics: Mapping[str, float], epoch: float | None = None, left_s: float | None = None
) -> str:
    """The line of `Progress.tell`, what matters most first."""
    told = [f"step {number}/{end}", f"loss {metrics['loss']:.3f}"]
    if left_s is not None and number < end:
        told.append(f"ETA {duration(left_s)}")
    if "images_per_s" in metrics:
        told.append(f"{metrics['images_per_s']:.1f} images/s")
    if epoch is not None:
        told.append(f"epoch {epoch:.2f}")
    if "waiting_share" in metrics:
        told.append(f"{metrics['waiting_share']:.0%} waiting for input")
    if "device_memory_gib" in metrics:
        told.append(f"{metrics['device_memory_gib']:.2f} GiB")
    parts = [f"{name.removeprefix(PARTS)} {value:.2f}" for name, value in metrics.items() if name.startswith(PARTS)]
    if parts:
        told.append(f"loss of {', '.join(parts)}")
    return "  ".join(told)


def _is_terminal() -> bool:
    """Whether the standard output is a terminal in which a bar can move; some that programs open have no size."""
    stream = sys.stdout
    if stream is None or not stream.isatty() or os.environ.get("TERM", "") == "dumb":
        return False
    try:
        return min(os.get_terminal_size(stream.fileno())) > 1
    except (OSError, ValueError):
        return False
