"""The demo: a narrow YOLOv2 learns emoji from scratch on this machine, and shows what it finds."""

from pathlib import Path

from yolo9000_jax import config as configs
from yolo9000_jax.training.logging import say

PICTURES = {
    "first_batch.png": "what the network was shown",
    "report/detections.png": "what it finds in scenes that it has not seen",
    "report/precision_recall.png": "how often it is right, class by class",
    "report/curves.png": "how it learnt",
}


# Twenty of the 98 classes: telling all apart takes a narrow network longer than a newcomer waits.
CLASSES = (
    "poodle",
    "domestic cat",
    "lion",
    "tiger",
    "giant panda",
    "penguin",
    "butterfly",
    "ladybug",
    "apple",
    "banana",
    "strawberry",
    "watermelon",
    "carrot",
    "taxi",
    "fire engine",
    "helicopter",
    "sailboat",
    "electric guitar",
    "soccer ball",
    "basketball",
)


def get_config(row=None):
    """A narrow YOLOv2 on `emoji` scenes; `yolo9000 demo` fits the number of steps to the minutes it has."""
    c = configs.from_scratch()
    c.steps = 3500
    c.image_size = 192
    c.checkpoint_every = 500
    c.data.source = "emoji"
    c.data.classes = CLASSES
    c.data.max_boxes = 8
    c.optimizer.learning_rate = 0.01
    # Scenes never run out, so colours are left as they are drawn: training is shorter without changing them.
    c.augment.jitter = 0.1
    c.augment.hue = 0.0
    c.augment.saturation = 1.0
    c.augment.exposure = 1.0
    c.evaluation.split = "test[:300]"
    return c


def demo(workdir: Path, minutes: float) -> None:
    """Trains for about `minutes`, evaluates on unseen scenes, and leaves pictures in workdir/report.

    A workdir that already holds a demo is carried on with.
    """
    from yolo9000_jax.train import seconds_per_step, train

    config = get_config()
    saved = workdir / "config.json"
    if saved.is_file():
        config.steps = configs.read(saved).steps
    else:
        say("measuring the speed of this machine")
        config.steps = max(20, int(60 * minutes / seconds_per_step(config)))
    train(config, workdir)
    for name, what in PICTURES.items():
        say(f"  {workdir / name}: {what}")
