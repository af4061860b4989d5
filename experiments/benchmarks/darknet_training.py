"""Our losses beside Darknet's, step by step: the same cfg, weights, pictures, order; nothing is drawn at random.

    apt install darknet gcc
    python experiments/benchmarks/darknet_training.py --cfg /usr/share/darknet/cfg/yolov2-tiny-voc.cfg --steps 100

The cfg is narrowed (`--narrow 8`: an eighth of the filters), made smaller (`--size`) and given the two classes of the
drawings that it is trained on: discs and rectangles. Ours is the run of `yolo9000 train --cfg --data`, its augmentation
off; theirs the library of Debian's package `darknet`, the code of its program, on a CPU. Both start from one .weights
file and get the same numbers as pictures and truths. "Loss" is what Darknet prints: of a detector the sum of the
squares of its delta over a picture, of a classifier the cross-entropy.

On a CPU Darknet's region layer passes no gradient on (darknet.md 0, 3), so what its GPU code does is put in its place
(darknet_training.c); `--as-it-is` leaves it out. Ours normalises as Darknet's CPU code does (4.2: `--batch-norm cpu`,
the default) or as our training does (`gpu`); its gradient is the exact one, Darknet's is not. What else keeps the
numbers apart is rounding, which a random network magnifies: the last column says how far ours is from ours, started
from the same weights with each number one place of float32 up or down.

With --keep FOLDER the files of the run stay there: the weights of both after the last step.
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw

from yolo9000_jax import config as configs
from yolo9000_jax.boxes.heads import YoloV1Head
from yolo9000_jax.darknet.building import plan_of
from yolo9000_jax.darknet.cfg import parse_cfg
from yolo9000_jax.darknet.layers import Connected, Convolutional, Detection, Region
from yolo9000_jax.darknet.network import to_arrays, to_variables
from yolo9000_jax.darknet.recipe import read_recipe
from yolo9000_jax.darknet.weights import read_weights, write_weights
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.layers import BatchNormOptions
from yolo9000_jax.tasks import make_task
from yolo9000_jax.tasks.task import AXIS
from yolo9000_jax.training import parallel, state, step

LIBRARY = Path("/usr/lib/darknet")
CLASSES = ("disc", "rectangle")
TRUTHS = 30  # rows of a region layer's truth
SHOWN = (1, 2, 5, 10, 20, 50, 100)


# Batch norm in training as Darknet's CPU code has it forward (darknet.md 4.2).
CPU_NORM = BatchNormOptions(epsilon=1e-6, epsilon_outside_root=True, unbiased=True)


class Darknet:
    """The library in training, from a .weights file, with darknet_training.c on top of it, compiled in `folder`."""

    def __init__(self, folder: Path, cfg: Path, weights: Path, as_it_is: bool):
        source, target = Path(__file__).with_suffix(".c"), folder / "training.so"
        if not LIBRARY.is_dir():
            raise UserError("the library of `darknet` is missing: on Debian, apt install darknet gcc")
        paths = [f"-I{LIBRARY}/include", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}"]
        renamed = ["-Dbackward_region_layer=not_used"] if as_it_is else []
        subprocess.run(
            ["cc", "-O1", "-shared", "-fPIC", source, "-o", target, *paths, *renamed, "-ldarknet"], check=True
        )
        self._calls = ctypes.CDLL(str(target))
        self._calls.training_open.restype = ctypes.c_void_p
        self._calls.training_step.restype = ctypes.c_float
        with silent():
            network = self._calls.training_open(str(cfg).encode(), str(weights).encode())
        self._network = ctypes.c_void_p(network)
        self.truths = self._calls.training_truths(self._network)

    def step(self, images: np.ndarray, truth: np.ndarray) -> float:
        """One update with float32 images [B, S, S, 3] and truth [B, truths]; the loss that it prints."""
        pictures = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        truth = np.ascontiguousarray(truth, np.float32)
        pointers = [array.ctypes.data_as(ctypes.POINTER(ctypes.c_float)) for array in (pictures, truth)]
        with silent():
            return self._calls.training_step(self._network, *pointers)

    def save(self, path: Path) -> None:
        with silent():
            self._calls.save_weights(self._network, str(path).encode())


@contextmanager
def silent() -> Iterator[None]:
    """Inside, what a C library prints is lost."""
    sys.stdout.flush()
    kept, nowhere = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1), os.dup2(nowhere, 2)
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        for place, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, place)
            os.close(descriptor)
        os.close(nowhere)


def draw_data(folder: Path, size: int, pictures: int = 64) -> Path:
    """Drawings of a disc or a rectangle on noise, in `folder`, with their labels; the .data file."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    listed = []
    for number in range(pictures):
        kind = number % 2
        w, h = random.integers(size // 4, 3 * size // 4, 2)
        x, y = random.integers(0, size - w), random.integers(0, size - h)
        image = Image.fromarray(random.integers(90, 160, (size, size, 3), np.uint8))
        draw, corners = ImageDraw.Draw(image), [int(x), int(y), int(x + w - 1), int(y + h - 1)]
        (draw.rectangle if kind else draw.ellipse)(corners, fill=(30, 200, 60) if kind else (220, 30, 30))
        listed.append(folder / f"images/{number}_{CLASSES[kind]}.png")
        image.save(listed[-1])
        row = f"{kind} {(x + w / 2) / size} {(y + h / 2) / size} {w / size} {h / size}\n"
        (folder / f"labels/{listed[-1].stem}.txt").write_text(row)
    (folder / "train.txt").write_text("".join(f"{path}\n" for path in listed))
    (folder / "obj.names").write_text("".join(f"{name}\n" for name in CLASSES))
    data = {"classes": len(CLASSES), "train": folder / "train.txt", "names": folder / "obj.names"}
    data |= {"valid": folder / "train.txt", "backup": folder}
    (folder / "obj.data").write_text("".join(f"{key}={value}\n" for key, value in data.items()))
    return folder / "obj.data"


def narrowed(cfg: Path, divisor: int, size: int, batch: int, rate: float, steps: int) -> str:
    """The text of the cfg with fewer filters, for small inputs and the drawings' classes, at a constant rate."""
    plan = parse_cfg(cfg)
    head, last = plan.head, [layer.index for layer in plan.layers if layer.parameters()][-1]
    options = {"batch": batch, "subdivisions": 1, "width": size, "height": size, "channels": 3, "max_batches": steps}
    options |= {"learning_rate": rate, "momentum": plan.net.momentum, "decay": plan.net.decay, "policy": "constant"}
    blocks = ["[net]", *(f"{key}={value}" for key, value in options.items())]
    for section, layer in zip(plan.sections, plan.layers, strict=True):
        written = dict(section.options)
        if isinstance(layer, Convolutional) and layer.index != last:
            written["filters"] = str(max(4, layer.filters // divisor))
        if isinstance(head, Region) and layer.index == last:
            written["filters"] = str(head.num * (5 + len(CLASSES)))
        elif isinstance(layer, Convolutional) and layer.index == last:
            written["filters"] = str(len(CLASSES))
        if isinstance(head, Detection) and isinstance(layer, Connected) and layer.index == last:
            written["output"] = str(head.side**2 * (len(CLASSES) + 5 * head.num))
        if layer is head:
            written.pop("random", None)
            if "classes" in written:
                written["classes"] = str(len(CLASSES))
        blocks += ["", f"[{section.type}]", *(f"{key}={value}" for key, value in written.items())]
    return "\n".join(blocks) + "\n"


def truth_of(task, batch, truths: int) -> np.ndarray:
    """A batch's truths as Darknet lays them out: [B, truths]."""
    if task.config.task == "classification":
        return np.eye(len(CLASSES))[batch["labels"]]
    rows = np.zeros((len(batch["mask"]), truths), np.float32)
    head = task.head
    for row, boxes, labels, mask in zip(rows, batch["boxes_cxcywh"], batch["labels"], batch["mask"], strict=True):
        for place, (box, label) in enumerate(zip(boxes[mask], labels[mask], strict=True)):
            if not isinstance(head, YoloV1Head):
                row.reshape(TRUTHS, 5)[place] = (*box, label)
                continue
            column, line = (int(value * head.side) for value in box[:2])
            cell = row.reshape(head.side**2, -1)[line * head.side + column]
            if not cell[0]:
                cell[0], cell[1 + label] = 1, 1
                offsets = box[0] * head.side - column, box[1] * head.side - line
                cell[1 + len(CLASSES) :] = (*offsets, *box[2:])
    return rows


def cost_of(task, params, batch_stats, batch, number):
    """The loss that Darknet prints: the sum of delta's squares a picture (darknet.md 5.8, 12), or the cross-entropy."""
    if task.config.task == "classification":
        return task.loss(params, batch_stats, batch, number)[0]
    raw, _ = task.apply(params, batch_stats, batch, number)
    yolo_v1 = isinstance(task.head, YoloV1Head)
    loss = task._yolo_v1_loss if yolo_v1 else task._region_loss
    delta = len(raw) * jax.grad(lambda raw: loss(task.head, raw, batch, number).total)(raw)
    if not yolo_v1:
        slopes = jax.nn.sigmoid(raw[..., [0, 1, 4]])
        delta = delta.at[..., jnp.array([0, 1, 4])].divide(slopes * (1 - slopes))
    return jnp.sum(jnp.square(delta)) / len(raw)


class Ours:
    """Our training of a task, from variables; the loss of each step, and the weights."""

    def __init__(self, task, variables, steps: int):
        optimizer, update = step.step_of(task)
        self._state = parallel.replicate(state.create(variables, optimizer, average=False))
        self._update = parallel.map_step(update)
        self._cost = jax.pmap(
            lambda state, batch: cost_of(task, state.params, state.batch_stats, batch, state.step), AXIS
        )
        self._span = np.array([0, steps], np.int32)

    def step(self, batch) -> float:
        """One update; the loss that Darknet would print of it."""
        sharded = parallel.shard(batch)
        cost = float(self._cost(self._state, sharded)[0])
        self._state, _ = self._update(self._state, sharded, self._span)
        return cost

    def arrays(self, plan):
        final = parallel.unreplicate(self._state)
        return to_arrays(plan, {"params": final.params, "batch_stats": final.batch_stats})


def rounded_otherwise(variables, seed: int):
    """Each number one place of float32 up or down."""
    random = np.random.default_rng(seed)
    ways = lambda x: np.where(random.random(np.shape(x)) < 0.5, np.inf, -np.inf).astype(np.float32)  # noqa: E731
    return variables | {"params": jax.tree.map(lambda x: np.nextafter(np.asarray(x), ways(x)), variables["params"])}


def compare(options, folder: Path) -> tuple[np.ndarray, list[str]]:
    """Losses [steps, 3]: ours, Darknet's, ours from weights rounded otherwise. How far the first's weights are from
    those of the others in the end."""
    text = narrowed(Path(options.cfg), options.narrow, options.size, options.batch, options.rate, options.steps)
    cfg, start = folder / "net.cfg", folder / "start.weights"
    cfg.write_text(text)
    config = read_recipe(cfg, draw_data(folder, options.size))
    augment = {"geometry": "none", "jitter": configs.detection().augment.jitter, "flip": 0.0}
    config.augment.update(augment | {"hue": 0.0, "saturation": 1.0, "exposure": 1.0})
    config.evaluation.may_share_pictures = True
    task, plan = make_task(config), plan_of(config.model.cfg)
    if options.batch_norm == "cpu":
        task.model = task.model.clone(norm=CPU_NORM)
    write_weights(start, plan, to_arrays(plan, task.init(options.seed)))
    before = read_weights(start, plan)[1]
    variables = to_variables(plan, before)
    ours = Ours(task, variables, options.steps)
    darknet = Darknet(folder, cfg, start, options.as_it_is)
    other = Ours(task, rounded_otherwise(variables, options.seed), options.steps)
    losses = []
    for batch in task.batches(0, options.steps):
        theirs = darknet.step(np.asarray(task.inputs(batch)), truth_of(task, batch, darknet.truths))
        losses.append((ours.step(batch), theirs, other.step(batch)))
    darknet.save(folder / "theirs.weights")
    arrays = ours.arrays(plan)
    write_weights(folder / "ours.weights", plan, arrays)
    others = read_weights(folder / "theirs.weights", plan)[1], other.arrays(plan)
    return np.array(losses), [apart(arrays, each, before) for each in others]


def apart(ours, theirs, start) -> str:
    """Of the first and the last layer's weights, how far they are apart, in shares of the way that theirs went."""
    found = []
    for layer in (min(ours), max(ours)):
        own, other, before = (arrays[layer]["weights"] for arrays in (ours, theirs, start))
        found.append(f"layer {layer} {np.linalg.norm(own - other) / np.linalg.norm(other - before):.1e}")
    return ", ".join(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True)
    parser.add_argument("--narrow", type=int, default=8, help="divides the filters (default: 8)")
    parser.add_argument("--size", type=int, default=160, help="side of the input (default: 160)")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the weights at the start")
    parser.add_argument("--as-it-is", action="store_true", help="leave the region layer's backward pass empty")
    parser.add_argument("--batch-norm", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--keep", metavar="FOLDER", help="a new folder for the files of the run")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(options.keep or temporary).resolve()
            folder.mkdir(exist_ok=True)
            losses, weights = compare(options, folder)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    off = np.abs(losses[:, :1] - losses[:, 1:]) / losses[:, 1:]
    print("step         ours      darknet   apart  ours rounded otherwise, apart")
    for number in [number for number in SHOWN if number <= len(losses)]:
        (own, theirs, _), shares = losses[number - 1], off[number - 1]
        print(f"{number:4} {own:12.6f} {theirs:12.6f} {shares[0]:7.1e} {shares[1]:7.1e}")
    for count in (10, len(losses)):
        print(f"largest of the first {count}: {off[:count, 0].max():.1e}, rounded otherwise {off[:count, 1].max():.1e}")
    print(f"weights at the end, in shares of the way they went: {weights[0]}; rounded otherwise {weights[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
