"""The demo: a narrow YOLO9000 learns emoji from scratch on this machine, and shows what it finds.

Boxes are given for coarse classes only (canine, edible fruit, motor vehicle, …); the fine ones (poodle, banana, taxi,
…) are known from pictures with a label and no box. It then finds and names things whose class never had a box.
"""

from pathlib import Path

from yolo9000_jax import config as configs
from yolo9000_jax.training.logging import say

PICTURES = {
    "first_batch.png": "what the network was shown",
    "report/detections.png": "what it finds in scenes that it has not seen, with the path down the tree",
    "report/precision_recall.png": "how often it is right, class by class",
    "report/curves.png": "how it learnt",
}
PRETRAINING_SHARE = 0.3  # of the time


def demo(workdir: Path, minutes: float) -> None:
    """Trains for about `minutes`, evaluates on unseen scenes, and leaves pictures in workdir/report.

    A workdir that already holds a demo is carried on with.
    """
    from yolo9000_jax.training.loop import train

    config = configs.load("demo")
    first = config.pretraining
    first.steps = _steps(first, workdir / "pretraining" / first.name, minutes * PRETRAINING_SHARE)
    config.steps = _steps(config, workdir, minutes * (1 - PRETRAINING_SHARE))
    train(config, workdir)
    for name, what in PICTURES.items():
        say(f"  {workdir / name}: {what}")


def _steps(config, workdir: Path, minutes: float) -> int:
    """As many steps as the minutes allow on this machine; where the run has begun, as many as it set out with."""
    from yolo9000_jax.training.loop import seconds_per_step

    if (workdir / "config.json").is_file():
        return configs.read(workdir / "config.json").steps
    say(f"measuring the speed of this machine ({config.name})")
    return max(20, round(60 * minutes / seconds_per_step(config)))
