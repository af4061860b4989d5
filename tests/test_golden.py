"""The golden files themselves: small, without a picture of others, and the script that makes them makes them again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import ROOT, golden_path

FOLDER = ROOT / "tests/golden"
LARGEST = 5_000_000  # bytes in all


def test_the_folder_is_small_and_has_only_the_drawn_picture():
    files = [path for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < LARGEST
    assert {path.suffix for path in files} == {".c", ".cfg", ".json", ".map", ".md", ".npz", ".py", ".tree", ".weights"}
    with_pictures = {
        path.relative_to(FOLDER).as_posix() for path in files if path.suffix == ".npz" and "u8" in np.load(path)
    }
    assert with_pictures  # the names of what make.py draws
    assert all(name.startswith(("input_drawn_", "train/", "image/ops_64x48")) for name in with_pictures)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a new run of make.py."""
    if not Path("/usr/lib/darknet/libdarknet.so").is_file() or shutil.which("cc") is None:
        pytest.skip("no library of Darknet, or no compiler: apt install darknet gcc")
    folder = tmp_path_factory.mktemp("made")
    command = [sys.executable, FOLDER / "make.py", "--output", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_script_makes_the_same_files(made):
    """Up to rounding, which another build of the library may do otherwise."""
    arrays = sorted(path.relative_to(made).as_posix() for path in made.rglob("*.npz"))
    assert len(arrays) > 15
    for name in arrays:
        stored, new = np.load(FOLDER / name), np.load(made / name)
        assert stored.files == new.files
        for key in stored.files:
            if not key.startswith("dets_"):  # which scores near the threshold enter and leave
                scale = np.abs(stored[key].astype(np.float64)).max(initial=0)
                np.testing.assert_allclose(new[key], stored[key], rtol=0, atol=1e-4 * scale, err_msg=f"{name} {key}")


def test_the_script_describes_them_the_same(made):
    stored, new = (json.loads((folder / "nets.json").read_text()) for folder in (FOLDER, made))
    counts = ("raw", "after")
    for nets in (stored, new):
        for net in nets.values():
            net["dets"] = {key: value for key, value in net.get("dets", {}).items() if key not in counts}
    assert new == stored
    for path in sorted((FOLDER / "cfg").iterdir()):
        assert (made / "cfg" / path.name).read_text() == path.read_text()


@pytest.mark.parametrize("name", ["nets.json", "misc.json", "loss/loss.json", "train/train.json", "map/map.json"])
def test_json_names_no_place_of_a_machine(name):
    text = golden_path(name).read_text()
    assert "/home/" not in text and "/tmp/" not in text and str(ROOT) not in text
