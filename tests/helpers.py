"""Where the tests find golden files, weights and real data, and what they skip without them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Darknet's numbers: tests/golden, or the folder of the same layout that the variable names.
GOLDEN = Path(os.environ.get("YOLO9000_GOLDEN", ROOT / "tests" / "golden"))
# Published networks, NAME.weights beside NAME.cfg.
WEIGHTS = Path(os.environ.get("YOLO9000_WEIGHTS", ROOT.parent / "shared/weights"))
# Darknet's own cfg files, for golden networks of full size; the default is that of Debian's package.
DARKNET_CFG = Path(os.environ.get("YOLO9000_DARKNET_CFG", "/usr/share/darknet/cfg"))


def golden_root() -> Path:
    """The golden folder, whether or not it exists (for collecting test cases)."""
    return GOLDEN


def golden_dir() -> Path:
    """The golden folder; skips the test where there is none."""
    if not GOLDEN.is_dir():
        pytest.skip(f"no golden files in {GOLDEN}")
    return GOLDEN


def golden_path(name: str) -> Path:
    """A file of the golden folder; skips the test where the folder lacks it."""
    path = golden_dir() / name
    if not path.is_file():
        pytest.skip(f"this golden folder has no {name}")
    return path


def golden_json(name: str) -> dict:
    """The contents of a JSON file of the golden folder; empty where there is none (for collecting test cases)."""
    path = GOLDEN / name
    return json.loads(path.read_text()) if path.is_file() else {}


def golden_weights(cfg: Path, seed: int, folder: Path) -> Path:
    """Weights written anew, in `folder`, by the golden folder's make_weights.py; skips the test where there is none."""
    for place in (GOLDEN, GOLDEN.parent):
        maker, path = place / "make_weights.py", folder / "made.weights"
        if maker.is_file():
            subprocess.run([sys.executable, maker, cfg, path, "--seed", str(seed)], check=True)
            return path
    pytest.skip("no make_weights.py in the golden folder or beside it")


def golden_net(name: str, folder: Path) -> tuple[Path, Path]:
    """The cfg and weights files of a network in nets.json; weights that are not stored are made in `folder`."""
    nets = golden_json("nets.json")
    if name not in nets:
        pytest.skip(f"this golden folder has no network {name}")
    net = nets[name]
    cfg = next((path for path in (GOLDEN / "cfg" / net["cfg"], DARKNET_CFG / net["cfg"]) if path.is_file()), None)
    if cfg is None:
        pytest.skip(f"no {net['cfg']}: set YOLO9000_DARKNET_CFG to the folder of Darknet's cfg files")
    stored = GOLDEN / f"{name}.weights"
    return cfg, stored if net["weights_stored"] else golden_weights(cfg, net["seed"], folder)


def golden_nets(*heads: str) -> list:
    """Networks of nets.json, those that end in one of these layers where any is named; those of full size are slow."""
    chosen = {
        name: net
        for name, net in golden_json("nets.json").items()
        if not heads or net["layers"][net["output_layer"]][0] in heads
    }
    cases = [
        pytest.param(name, marks=() if (GOLDEN / "cfg" / net["cfg"]).is_file() else pytest.mark.slow)
        for name, net in chosen.items()
    ]
    return cases or [pytest.param("", marks=pytest.mark.skip(reason="no golden networks"))]


def published_networks() -> list:
    """Paths of published weights, or one case that is skipped."""
    paths = sorted(WEIGHTS.glob("*.weights"))
    reason = "no published weights: set YOLO9000_WEIGHTS to their folder"
    return [pytest.param(path, id=path.stem) for path in paths] or [
        pytest.param(None, marks=pytest.mark.skip(reason=reason))
    ]


def data_dir(name: str) -> Path:
    """The real data set `name`; skips the test where it is missing."""
    path = Path(os.environ.get("YOLO9000_DATA", ROOT.parent / "shared/data")) / name
    if not path.is_dir():
        pytest.skip(f"no real data set {name}: set YOLO9000_DATA to the folder that holds it")
    return path
