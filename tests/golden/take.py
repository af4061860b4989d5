"""Bring the numbers of another golden folder into this one: losses, single layers, trees, average precision.

    python tests/golden/take.py FOLDER

Only numbers are taken: arrays, and the JSON without its remarks. Nothing that comes from a photograph is: the folder's
networks, trainings and pictures stay behind; make.py makes others.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from make import write_json

HERE = Path(__file__).resolve().parent
REMARKS = {"note", "net_cost", "stock_cpu_max_abs_diff", "stock_cpu_cost", "stock_cpu_max_delta_diff", "top_columns"}
UNIT_NET = "[net]\nbatch={batch}\n{shape}\n\n[{section}]\n{options}\n"


def plain(value: Any) -> Any:
    """JSON without remarks."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in REMARKS}
    return value


def take_arrays(source: Path, name: str) -> None:
    with np.load(source / name) as arrays:
        np.savez_compressed(HERE / name, **arrays)


def write_unit_cfg(name: str, entry: dict[str, Any]) -> None:
    """The cfg of a single layer, from its entry of misc.json."""
    channels, height, width = entry["chw"]
    shape = f"height={height}\nwidth={width}\nchannels={channels}"
    options = "\n".join(f"{key}={value}" for key, value in entry["options"].items())
    values = {"batch": entry["batch"], "shape": shape, "section": entry["section"], "options": options}
    (HERE / f"{name}.cfg").write_text(UNIT_NET.format(**values))


def take_tree(source: Path, name: str) -> None:
    """A tree as the numbers of its nodes' parents; a node's name is its own number."""
    with np.load(source / f"unit/tree_{name}.npz") as arrays:
        parents = arrays["parent"].tolist()
    lines = (f"n{node:08d} {parent}\n" for node, parent in enumerate(parents))
    (HERE / f"data/{name}.tree").write_text("".join(lines))


def take(source: Path) -> None:
    for name in ("data", "image", "loss", "map", "unit"):
        (HERE / name).mkdir(exist_ok=True)
    for pattern in ("loss/*.npz", "map/*.npz", "unit/*.npz", "image/correct_boxes.npz"):
        for path in sorted(source.glob(pattern)):
            take_arrays(source, path.relative_to(source).as_posix())
    for path in (source / "unit").glob("tree_*.npz"):
        take_tree(source, path.stem.removeprefix("tree_"))
    for path in (source / "data").glob("*.map"):
        (HERE / "data" / path.name).write_text("".join(f"{int(line)}\n" for line in path.read_text().split()))
    for name in ("loss/loss.json", "map/map.json", "unit/learning_rate.json", "misc.json"):
        kept = plain(json.loads((source / name).read_text()))
        if name == "misc.json":
            kept = {k: v for k, v in kept.items() if k.startswith("unit/") or k == "image/correct_boxes"}
            for unit, entry in kept.items():
                if "section" in entry:
                    write_unit_cfg(unit, entry)
        write_json(HERE / name, kept)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    take(parser.parse_args().folder)
