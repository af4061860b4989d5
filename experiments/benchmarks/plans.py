"""`yolo9000 plan` for every experiment, each input size by itself, and the table of docs/pods.md.

    python experiments/benchmarks/plans.py runs/plans --topology v5e:4x4 --topology v4:2x2x2

Needs libtpu (`pip install .[plan]`); run it where yolo9000.tree and wordtree1k.tree lie (experiments/yolo9000.py,
experiments/wordtree1k.py). A program takes minutes, so what is in the folder already is not compiled again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from yolo9000_jax.report.table import Table

SIZES = tuple(range(608, 319, -32))
# Experiments, and rows of the ablation, whose programs differ, with their sizes.
EXPERIMENTS = {
    "voc": SIZES,
    "yolo9000": SIZES,
    "darknet19": (448,),
    "darknet19:224": (224,),
    "ablation:yolo": (448,),
    "ablation:new_network": (416,),
    "coco": SIZES,
    "wordtree1k": (224,),
    "wordtree1k:448": (448,),
}
GIB = 1 << 30


def compile_one(name: str, size: int, topology: str, file: Path) -> None:
    """Leaves a plan's JSON; of one that fails, what it said beside it."""
    command = [sys.executable, "-m", "yolo9000_jax", "plan", "--config", name, "--topology", topology]
    scale = [f"--config.multi_scale=({size},)"] if len(EXPERIMENTS[name]) > 1 else []
    done = subprocess.run([*command, *scale, "--json", str(file)], capture_output=True, text=True)
    print(f"{file.stem}: {'done' if done.returncode == 0 else done.stderr.strip()}", flush=True)


def row(name: str, plan: dict) -> list[str | None]:
    """A row of the table: the plan's only program."""
    (program,) = plan["programs"]
    flops, temporary, arguments = program["flops_per_step"], program["temporary_bytes"], program["argument_bytes"]
    rates = [plan[f"pictures_per_s_{name}"] for name in ("chips", "memory", "network")]
    return [
        name,
        str(program["size"]),
        plan["target"],
        f"{plan['parameters'] / 1e6:.1f}",
        str(plan["batch_size"] // plan["devices"]),
        None if flops is None else f"{flops / 1e12:.2f}",
        None if flops is None else f"{flops / program['forward_flops']:.2f}",
        None if arguments is None else f"{arguments / GIB:.2f}",
        None if temporary is None else f"{temporary / GIB:.2f}",
        f"{program['peak_bytes'] / GIB:.2f} of {program['device_bytes'] / GIB:.0f}",
        None
        if program["all_reduces"] is None
        else f"{program['all_reduces']} ({program['all_reduce_bytes'] / 1e6:.0f} MB)",
        *(None if rate is None else f"{rate:.0f}" for rate in rates),
        f"{program['compile_s']:.0f}",
    ]


COLUMNS = (
    *("experiment", "size", "slice", "M parameters", "pictures a chip", "TFLOP a step", "of the forward pass"),
    *("arguments, GiB", "temporaries, GiB", "peak, GiB", "all-reduces", "pictures/s, chips", "memory", "network"),
    "compiled in, s",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--topology", action="append", required=True)
    parser.add_argument("--show", action="store_true", help="compile nothing, print the table of what is there")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    # Every experiment's largest size first: whether it fits is known soonest.
    programs = [
        (place, topology, name, size)
        for topology in options.topology
        for name, sizes in EXPERIMENTS.items()
        for place, size in enumerate(sizes)
    ]
    files = {}
    for _, topology, name, size in sorted(programs, key=lambda each: each[0]):
        file = options.folder / f"{name}_{size}_{topology}.json".replace(":", "_")
        files[list(EXPERIMENTS).index(name), options.topology.index(topology), -size] = file
        if not file.is_file() and not options.show:
            compile_one(name, size, topology, file)
    there = [key for key in sorted(files) if files[key].is_file()]
    rows = [row(list(EXPERIMENTS)[key[0]], json.loads(files[key].read_text())) for key in there]
    print(Table(COLUMNS, rows).markdown())


if __name__ == "__main__":
    main()
