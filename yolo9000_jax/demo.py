"""The demo: a small YOLOv2 learns emoji from scratch on this machine, and shows what it finds."""

from pathlib import Path

from yolo9000_jax import config as configs
from yolo9000_jax.training.logging import say


def get_config(row=None):
    """A narrow YOLOv2 on `emoji:` scenes; `yolo9000 demo` fits the number of steps to the minutes it has."""
    c = configs.detection()
    c.steps = 2400
    c.batch_size = 16
    c.image_size = 224
    c.log_every = 20
    c.checkpoint_every = 500
    c.data.source = "emoji"
    c.data.split = "train"
    c.data.max_boxes = 8
    c.model.width = 0.25
    c.model.batch_norm_momentum = 0.95
    c.augment.jitter = 0.1
    c.optimizer.learning_rate = 5e-3
    c.optimizer.schedule = "cosine"
    c.optimizer.burn_in = 100
    c.optimizer.burn_in_power = 1.0
    c.optimizer.average_decay = 0.995
    c.loss.warmup_images = 1000
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


PICTURES = {
    "first_batch.png": "what the network was shown",
    "report/detections.png": "what it finds in scenes that it has not seen",
    "report/precision_recall.png": "how often it is right, class by class",
    "report/curves.png": "how it learnt",
}
