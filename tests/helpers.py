"""Where the tests find golden files and real data, and what they skip without them."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def golden_root() -> Path:
    """The golden folder, whether or not it exists (for collecting test cases)."""
    return Path(os.environ.get("YOLO9000_GOLDEN", ROOT.parent / "shared/darknet/golden"))


def golden_dir() -> Path:
    """The golden folder; skips the test where there is none."""
    if not golden_root().is_dir():
        pytest.skip("no golden files: set YOLO9000_GOLDEN to their folder")
    return golden_root()


def data_dir(name: str) -> Path:
    """The real data set `name`; skips the test where it is missing."""
    path = Path(os.environ.get("YOLO9000_DATA", ROOT.parent / "shared/data")) / name
    if not path.is_dir():
        pytest.skip(f"no real data set {name}: set YOLO9000_DATA to the folder that holds it")
    return path
