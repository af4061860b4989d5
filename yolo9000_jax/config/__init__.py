"""Experiment configurations: every key with its meaning, loading, changing and checking them.

An experiment is a file with `get_config(row=None)` that starts from one of the recipes here, changes some keys, and
returns the config:

    from yolo9000_jax import config

    def get_config(row=None):
        c = config.from_scratch()
        c.epochs = 100
        c.data.source = "voc:DIR"
        return c
"""

from yolo9000_jax.config.checks import METRICS, UNUSED, check
from yolo9000_jax.config.derived import learning_rate_of, metric_of, steps_of
from yolo9000_jax.config.experiments import beside, find, load_module, shipped, unknown_row
from yolo9000_jax.config.keys import classification, classifier_from_scratch, detection, flat, from_scratch, stages
from yolo9000_jax.config.merging import complete
from yolo9000_jax.config.overriding import load, override
from yolo9000_jax.config.ranges import CHOICES, RANGES
from yolo9000_jax.config.saved import (
    FREE_ON_RESUME,
    SOURCES,
    as_saved,
    difference,
    from_saved,
    read,
    save,
)

__all__ = [
    "CHOICES",
    "FREE_ON_RESUME",
    "METRICS",
    "RANGES",
    "SOURCES",
    "UNUSED",
    "as_saved",
    "beside",
    "check",
    "classification",
    "classifier_from_scratch",
    "complete",
    "detection",
    "difference",
    "find",
    "flat",
    "from_saved",
    "from_scratch",
    "learning_rate_of",
    "load",
    "load_module",
    "metric_of",
    "override",
    "read",
    "save",
    "shipped",
    "stages",
    "steps_of",
    "unknown_row",
]
