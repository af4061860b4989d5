"""What saving costs a training of YOLOv2: seconds that a save holds it up, against those of the steps in between.

    python experiments/benchmarks/saving.py --folder DIR_ON_THE_DISK

The state is that of training: parameters, statistics of batch norm, momentum. The training waits while the state is
taken from the device and handed over; writing goes on behind the next steps. Both are measured by themselves, as
medians: what a save costs lies between the first and the sum of the two, where writing takes all from the steps.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from timing import median_seconds
from train_step import OurStep

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.speed import machine
from yolo9000_jax.models.yolo_v2 import YoloV2
from yolo9000_jax.training import parallel
from yolo9000_jax.workdir.checkpoints import Checkpoints


def save_seconds(step: OurStep, folder: Path, saves: int) -> tuple[float, float]:
    """Medians: seconds until a save returns, and those until it is written after that."""
    checkpoints = Checkpoints(folder)
    held, written = [], []
    for number in range(saves):
        started = time.perf_counter()
        state = parallel.unreplicate(step.state)
        checkpoints.save(state.replace(step=np.int32(number + 1)))
        returned = time.perf_counter()
        checkpoints.wait()
        held.append(returned - started)
        written.append(time.perf_counter() - returned)
    checkpoints.close()
    return float(np.median(held)), float(np.median(written))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("."), help="on the disk; what is written there is deleted")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--every", type=int, default=100, help="steps between two saves")
    parser.add_argument("--runs", type=int, default=5, help="steps, and saves, that are timed")
    parser.add_argument("--step-seconds", type=float, help="of a step, where that is known: then none is made")
    options = parser.parse_args()
    folder = None
    try:
        where = machine()
        print(f"{where['device']}, {where['cpu']}, {where['cores']} cores, jax {where['jax']}; {options}", flush=True)
        step = OurStep(YoloV2(width=options.width), options.size, options.batch)
        folder = tempfile.mkdtemp(dir=options.folder)
        between = options.every * (options.step_seconds or median_seconds(step, options.runs))
        held, written = save_seconds(step, Path(folder), options.runs)
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(step.state))
        print(f"{between / options.every:.3f} s a step, {between:.1f} s for {options.every}; state {size / 1e6:.0f} MB")
        print(f"a save holds up the training for {held:.2f} s: {100 * held / between:.2f} % of that")
        print(f"and is written in {written:.2f} s more: {100 * (held + written) / between:.2f} % at most")
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
