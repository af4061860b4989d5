"""What an accelerator makes of this package: does it agree with Darknet there, and how fast is it? One command.

    pip install 'jax[cuda12]' . && python experiments/benchmarks/accelerator.py --json accelerator.json

It needs a checkout (Darknet's numbers are in tests/golden), one device, JAX 0.10 or later, no network, no data and no
TensorFlow, and is done after at most `--minutes`, 8 unless told otherwise: each part has its share of them, a
measurement that would probably take too long is not begun, and what does not end is cut off. What was not measured is a
row that says why: no time, or no memory at that batch. Most of the time is compiling: where JAX_COMPILATION_CACHE_DIR
names a folder, the same command given again gets further. `--quick`, narrow and small, tries the command itself.

The parts, each a table on stdout and a list in the JSON:

- golden: how far networks, layers and losses are from Darknet's numbers, with JAX's default precision of products
  (TensorFloat-32 on an NVIDIA GPU, bfloat16 passes on a TPU) and the highest; the limits are those of the tests, and
  hold for the highest. The exit status is 1 where that is beyond its limit.
- training steps: forward pass, region loss, gradients and update of YOLOv2, pictures on the device already. Operations
  are three times those of the forward pass; the share of the peak is of the vendor's number, where it is known here,
  and beside it of what one large product of matrices reaches on the same device.
- gradients: forward and backward pass of single layers, as the package has them, as XLA has them by itself, and with
  the kernel's gradient as products of matrices, which the package uses on a CPU.
- prediction: network, decoding and suppression, from pictures on the device to detections on the host.
- tree: losses and decoding of 9418 classes in a tree, by the structure of Darknet's 9k.tree.

It has not been run on an accelerator yet.
"""

import argparse
import functools
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # for tests/golden, which is not installed

import flax.linen as nn  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import tree_softmax  # noqa: E402
from timing import median_seconds  # noqa: E402
from train_step import OurStep  # noqa: E402

from tests.golden import cases  # noqa: E402
from tests.golden.make_weights import make_weights  # noqa: E402
from yolo9000_jax.boxes.heads import RegionHead  # noqa: E402
from yolo9000_jax.boxes.tree import detect_tree  # noqa: E402
from yolo9000_jax.darknet.cfg import parse_cfg  # noqa: E402
from yolo9000_jax.darknet.network import build_network, load_network  # noqa: E402
from yolo9000_jax.errors import UserError  # noqa: E402
from yolo9000_jax.evaluation.speed import benchmark, machine  # noqa: E402
from yolo9000_jax.files import write_whole  # noqa: E402
from yolo9000_jax.losses.region import region_loss  # noqa: E402
from yolo9000_jax.models import convolution  # noqa: E402
from yolo9000_jax.models.cost import cost  # noqa: E402
from yolo9000_jax.models.layers import max_pool  # noqa: E402
from yolo9000_jax.models.yolo_v2 import VOC_ANCHORS_CELLS, YoloV2  # noqa: E402
from yolo9000_jax.predict.detector import Detector  # noqa: E402
from yolo9000_jax.report.table import Table  # noqa: E402
from yolo9000_jax.training.chips import CHIPS  # noqa: E402
from yolo9000_jax.wordtree.tree import WordTree  # noqa: E402

GOLDEN = ROOT / "tests/golden"
PRECISIONS = ("default", "highest")
LIMITS = {"network": 2e-4, "layers": 1e-5, "loss": 1e-5}  # see golden; those of tests/darknet and tests/losses
TRUTHS = 30  # boxes a picture
SPARE_S = 20  # at the end, for what was begun in time and for Python to end

# TFLOP/s at most, cited from the vendors' data sheets, without sparsity: of float32 at JAX's default precision, and of
# bfloat16. By what JAX calls the device; the first that fits.
PEAK_TFLOPS = {
    "H200": (494, 989),
    "H100 PCIe": (378, 756),
    "H100": (494, 989),
    "A100": (156, 312),
    "L4": (60, 121),
} | {
    name: (CHIPS[chip].flops_per_s / 1e12,) * 2
    for name, chip in {"TPU v4": "v4", "TPU v5 lite": "v5e", "TPU v5": "v5p", "TPU v6 lite": "v6e"}.items()
}

Row = dict[str, Any]


class Scale(NamedTuple):
    """How much is measured. layers: (side of the input, its channels, filters, kernel size or 0 for pooling)."""

    networks: tuple[str, ...]
    single_layers: tuple[str, ...]
    losses: tuple[str, ...]
    width: float
    sizes: tuple[int, ...]
    dtypes: tuple[str, ...]
    step_batches: tuple[int, ...]
    product: int
    layers: tuple[tuple[int, int, int, int], ...]
    layer_batch: int
    predict_batches: tuple[int, ...]
    tree: str
    tree_shape: tuple[int, int, int, int]
    runs: int
    run_seconds: float


FULL = Scale(
    networks=("yolov2-voc-s16", "yolo9000-s16-t33", "darknet19-s16", "yolov1-s16", "yolov2-tiny-voc-s16"),
    single_layers=tuple(sorted(path.stem for path in (GOLDEN / "unit").glob("*.cfg"))),
    losses=("r01_voc_after_warmup", "r02_voc_warmup", "r07_logistic_classes", "t01_tree_detection", "t09_9k"),
    width=1.0,
    sizes=(416, 608),
    dtypes=("bfloat16", "float32"),
    step_batches=(64, 16, 128, 256),  # the paper's first
    product=8192,
    layers=(
        *((416, 32, 32, 0), (104, 128, 128, 0), (26, 512, 512, 0)),
        *((208, 32, 64, 3), (104, 128, 64, 1), (104, 64, 128, 3), (26, 256, 512, 3), (13, 1024, 1024, 3)),
    ),
    layer_batch=16,
    predict_batches=(1, 64, 8),
    tree="9k",
    tree_shape=tree_softmax.SHAPE,
    runs=5,
    run_seconds=0.3,
)
QUICK = Scale(
    networks=("yolov2-tiny-voc-s16",),
    single_layers=("conv3x3_leaky", "maxpool_2_2_even"),
    losses=("r01_voc_after_warmup",),
    width=1 / 64,
    sizes=(64,),
    dtypes=("float32",),
    step_batches=(1,),
    product=128,
    layers=((8, 4, 4, 0), (8, 4, 8, 3)),
    layer_batch=1,
    predict_batches=(1,),
    tree="t33",
    tree_shape=(1, 4, 4, 3),
    runs=1,
    run_seconds=0.0,
)


class Measurement(NamedTuple):
    """labels: what is measured. run: gives the other entries of the row, of these names, which are None without it."""

    labels: Row
    run: Callable[[], Row]
    names: tuple[str, ...]


def golden(scale: Scale) -> Iterator[Measurement]:
    """The largest difference from Darknet's numbers, as a share of their standard deviation, or of the largest."""
    nets = json.loads((GOLDEN / "nets.json").read_text())

    def network(name: str) -> float:
        cfg = GOLDEN / "cfg" / nets[name]["cfg"]
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "made.weights"
            make_weights(cfg, weights, nets[name]["seed"])
            module, variables = load_network(parse_cfg(cfg), weights)
        result = jax.jit(module.apply)(variables, cases.network_input(GOLDEN / nets[name]["input"]))
        expected = cases.network_output(GOLDEN, name, nets[name])
        return np.abs(cases.as_darknet(result) - expected).max() / expected.std()

    def layers() -> float:
        units = [cases.layer_case(GOLDEN / "unit" / f"{name}.cfg") for name in scale.single_layers]

        def outputs(given: list[tuple[Any, Any]]) -> list[jax.Array]:
            return [
                build_network(unit.cfg, batch_norm="gpu")
                .apply(variables, x, train=unit.train, capture=True, mutable=["batch_stats"])[0][1][0]
                .transpose(0, 3, 1, 2)
                for unit, (variables, x) in zip(units, given, strict=True)
            ]

        found = jax.device_get(jax.jit(outputs)([(unit.variables, unit.x) for unit in units]))
        return max(_off(y, unit.y()) for unit, y in zip(units, found, strict=True))

    def loss(name: str) -> float:
        case = cases.region_case(GOLDEN, name)
        _, added = cases.region_gradient(*case.arguments, switches=case.switches, tree=case.tree)
        return _off(added, case.golden["neg_grad"])

    measured: list[tuple[str, str, Callable[[], float]]] = [
        *(("network", name, functools.partial(network, name)) for name in scale.networks),
        ("layers", f"{len(scale.single_layers)} single layers", layers),
        *(("loss", name, functools.partial(loss, name)) for name in scale.losses),
    ]
    for kind, name, run in measured:
        for precision in PRECISIONS:

            def difference(run: Callable[[], float] = run, kind: str = kind, precision: str = precision) -> Row:
                with jax.default_matmul_precision(precision):
                    value = float(run())
                return {"difference": value, "limit": LIMITS[kind], "agrees": value < LIMITS[kind]}

            labels = {"kind": kind, "name": name, "precision": precision}
            yield Measurement(labels, difference, ("difference", "limit", "agrees"))


def _off(values: Any, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(values).ravel() - expected.ravel()).max() / np.abs(expected).max())


def steps(scale: Scale) -> Iterator[Measurement]:
    """Pictures a second in training, by size, number format and batch."""
    products: dict[str, float] = {}  # TFLOP/s
    full: dict[tuple[str, int], int] = {}  # the least batch that had no room
    names = ("images_per_s", "tflop_per_s", "peak_percent", "product_percent")

    def product(dtype: str) -> Row:
        side = scale.product
        a = jax.random.normal(jax.random.key(0), (side, side), dtype)
        multiply = jax.jit(jnp.matmul)
        seconds = median_seconds(lambda: multiply(a, a), scale.runs, scale.run_seconds)
        products[dtype] = 2 * side**3 / seconds / 1e12
        return {"images_per_s": None, **_rates(products[dtype], dtype, products)}

    def step(size: int, dtype: str, batch: int) -> Row:
        if batch >= full.get((dtype, size), sys.maxsize):
            raise UserError("a smaller batch had no room")
        model = _model(scale.width, dtype)
        try:
            objective = functools.partial(_region_loss, batch)
            run = OurStep(model, size, batch, objective, _variables(scale.width))
            seconds = median_seconds(run, scale.runs, scale.run_seconds)
        except Exception as error:
            if _is_out_of_memory(error):
                full[dtype, size] = batch
            raise
        tflops = 3 * cost(model, size).gflop * batch / seconds / 1e3
        return {"images_per_s": batch / seconds, **_rates(tflops, dtype, products)}

    for dtype in scale.dtypes:
        labels = {"what": f"product {scale.product}²", "dtype": dtype, "size": None, "batch": None}
        yield Measurement(labels, functools.partial(product, dtype), names)
    for batch in scale.step_batches:
        for size in scale.sizes:
            for dtype in scale.dtypes:
                labels = {"what": "step", "dtype": dtype, "size": size, "batch": batch}
                yield Measurement(labels, functools.partial(step, size, dtype, batch), names)


def _model(width: float, dtype: str) -> YoloV2:
    return YoloV2(width=width, head_init="calm", dtype=jnp.dtype(dtype))


@functools.cache
def _variables(width: float) -> Any:
    """Random ones on the host; their type is float32 whatever the model computes in."""
    init = jax.jit(_model(width, "float32").init)
    return jax.device_get(init(jax.random.key(0), jnp.zeros((1, 64, 64, 3))))


def _rates(tflops: float, dtype: str, products: dict[str, float]) -> Row:
    peak, product = _peak_tflops(jax.devices()[0].device_kind, dtype), products.get(dtype)
    return {
        "tflop_per_s": tflops,
        "peak_percent": None if peak is None else 100 * tflops / peak,
        "product_percent": None if product is None else 100 * tflops / product,
    }


def _peak_tflops(device_kind: str, dtype: str) -> float | None:
    """The vendor's number; None where it is not known here."""
    found = (peaks for name, peaks in PEAK_TFLOPS.items() if re.search(rf"\b{name}\b", device_kind))
    peaks = next(found, None)
    return None if peaks is None else peaks[dtype == "bfloat16"]


def _region_loss(batch: int, raw: jax.Array, tree: WordTree | None = None) -> jax.Array:
    """With a tree half of the pictures, rounded down, have a label and no boxes."""
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0.1, 0.9, (batch, TRUTHS, 4)).astype(np.float32)
    labels = rng.integers(0, raw.shape[-1] - 5, (batch, TRUTHS)).astype(np.int32)
    anchors = VOC_ANCHORS_CELLS[: raw.shape[3]]
    of_pictures = None if tree is None else np.where(np.arange(batch) < batch // 2, labels[:, 0], -1)
    mask = np.ones(labels.shape, bool)
    return region_loss(raw, boxes, labels, mask, anchors, seen=20000, tree=tree, image_labels=of_pictures).total


def gradients(scale: Scale) -> Iterator[Measurement]:
    """Forward and backward pass of single layers: ours, XLA's own, and with the kernel's gradient as on a CPU."""
    for side, channels, filters, size in scale.layers:
        for dtype in scale.dtypes:
            what = f"convolution {size}x{size}" if size else "pooling 2x2"
            shape = f"{scale.layer_batch}x{side}x{side}x{channels}"
            labels = {"what": what, "input": shape, "filters": filters, "dtype": dtype}
            names = ("ours_ms", "xla_ms", "products_ms", "difference", "products_difference")
            yield Measurement(
                labels, functools.partial(_layer_times, scale, side, channels, filters, size, dtype), names
            )


def _layer_times(scale: Scale, side: int, channels: int, filters: int, size: int, dtype: str) -> Row:
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (scale.layer_batch, side, side, channels), dtype)
    functions: dict[str, Callable[..., jax.Array]]
    if size:
        inputs = x, jax.random.normal(keys[1], (size, size, channels, filters), dtype) / size
        by_xla = functools.partial(convolution._convolve, stride=1, padding=size // 2)
        functions = {"ours": functools.partial(convolution.convolve, padding=size // 2), "xla": by_xla}
    else:
        inputs = (x,)
        by_xla = functools.partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2))
        functions = {"ours": max_pool, "xla": by_xla}
    slope = jax.random.normal(keys[2], jax.eval_shape(by_xla, *inputs).shape, dtype)

    def both(function: Callable[..., jax.Array]) -> Callable[..., Any]:
        def run(*given: jax.Array) -> Any:
            y, backward = jax.vjp(function, *given[:-1])
            return y, backward(given[-1])

        return jax.jit(run)

    def by_products(x: jax.Array, kernel: jax.Array, slope: jax.Array) -> Any:
        y, backward = jax.vjp(lambda x: by_xla(x, kernel), x)
        of_kernel = convolution._kernel_gradient_1x1 if size == 1 else convolution._kernel_gradient_3x3
        return y, (*backward(slope), of_kernel(x, slope))

    programs = {name: both(function) for name, function in functions.items()}
    if size:
        programs["products"] = jax.jit(by_products)
    results = {name: program(*inputs, slope) for name, program in programs.items()}
    row: Row = {
        f"{name}_ms": 1e3 * median_seconds(functools.partial(program, *inputs, slope), scale.runs, scale.run_seconds)
        for name, program in programs.items()
    }
    for name, key in (("ours", "difference"), ("products", "products_difference")):
        if name in results:
            pairs = zip(jax.tree.leaves(results[name]), jax.tree.leaves(results["xla"]), strict=True)
            row[key] = max(_off(one.astype(jnp.float32), np.asarray(other, np.float32)) for one, other in pairs)
    return row


def prediction(scale: Scale) -> Iterator[Measurement]:
    """Latency, of one picture, and throughput, of many, of network, decoding and suppression."""

    def predict(size: int, dtype: str, batch: int) -> Row:
        model = _model(scale.width, dtype)
        classes = [f"class {number}" for number in range(model.num_classes)]
        head = RegionHead(model.anchors_cells)
        detector = Detector(model, jax.device_put(_variables(scale.width)), classes, head, (size, size))
        options: Row = {"runs": scale.runs, "run_seconds": scale.run_seconds, "score_threshold": 0.25}
        (of_size,) = benchmark(detector, (size,), batch_size=batch, **options)["sizes"]
        return {"ms": 1e3 * batch / of_size["images_per_s"], "images_per_s": of_size["images_per_s"]}

    for batch in scale.predict_batches:
        for size in scale.sizes:
            for dtype in scale.dtypes:
                labels = {"dtype": dtype, "size": size, "batch": batch}
                yield Measurement(labels, functools.partial(predict, size, dtype, batch), ("ms", "images_per_s"))


def tree(scale: Scale) -> Iterator[Measurement]:
    """Losses, with gradients, and decoding of boxes whose classes form a tree."""
    nodes = WordTree.load(GOLDEN / f"data/{scale.tree}.tree")
    shape = scale.tree_shape
    functions, arguments = tree_softmax.programs(nodes, shape, TRUTHS)
    raw = jax.random.normal(jax.random.key(0), (*shape, 5 + len(nodes)))
    chosen = np.linspace(0, len(nodes) - 1, 200).astype(np.int32)  # as many as ImageNet's detection task has
    detect = functools.partial(detect_tree, raw, np.array(VOC_ANCHORS_CELLS[: shape[3]]), nodes)
    loss = jax.jit(jax.value_and_grad(lambda raw: _region_loss(shape[0], raw, nodes)))

    def timed(function: Callable[[], Any]) -> Row:
        return {"ms": 1e3 * median_seconds(function, scale.runs, scale.run_seconds)}

    measured: dict[str, Callable[[], Any]] = {
        "region loss, half of the pictures without boxes": lambda: loss(raw),
        "decoding, top-down descent": lambda: detect(0.25, 0.45),
        "decoding, 200 nodes": lambda: detect(0.005, 0.45, nodes=chosen),
    }
    for name, function in functions.items():
        measured[name] = functools.partial(jax.jit(jax.value_and_grad(function)), *arguments)
    for name, run in measured.items():
        labels = {"what": name, "boxes": "x".join(map(str, shape)), "nodes": len(nodes)}
        yield Measurement(labels, functools.partial(timed, run), ("ms",))


# By name, with each part's share of the time; what one leaves goes to those after it.
PARTS: dict[str, tuple[float, Callable[[Scale], Iterator[Measurement]]]] = {
    "golden": (0.2, golden),
    "steps": (0.45, steps),
    "prediction": (0.15, prediction),
    "tree": (0.08, tree),
    "gradients": (0.12, gradients),
}


def measure(measurements: Iterator[Measurement], until: float) -> Iterator[Row]:
    """The rows. None is begun that, taking as long as the longest so far, would not be done by `until` (monotonic)."""
    longest = 0.0
    for labels, run, names in measurements:
        started = time.monotonic()
        row: Row = {**labels, **dict.fromkeys(names), "took_s": None, "note": None}
        if started + longest > until:
            row["note"] = "no time left"
        else:
            try:
                row |= run()
            except Exception as error:  # of hardware that nobody has tried: the other rows are worth having
                row["note"] = "out of memory" if _is_out_of_memory(error) else _one_line(error)
            row["took_s"] = round(time.monotonic() - started, 2)
            longest = max(longest, row["took_s"])
        yield row


def _is_out_of_memory(error: Exception) -> bool:
    text = f"{error} {error.__cause__}"  # a UserError of the package has the runtime's as its cause
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or "Out of memory" in text


def _one_line(error: Exception) -> str:
    name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return name + " ".join(str(error).split())[:160]


class Report:
    """What was measured so far: as tables, and in a JSON file. Cut off by the clock it is what there is."""

    def __init__(self, path: Path | None, **facts: Any):
        self._path, self._started = path, time.monotonic()
        self.content: dict[str, Any] = {**facts, "parts": {}}
        self._lock, self._shown = threading.Lock(), 0
        self.write()  # whether it can be, before the work

    def write(self) -> None:
        self.content["seconds"] = round(time.monotonic() - self._started, 1)
        if self._path is not None:
            write_whole(self._path, json.dumps(self.content, indent=1) + "\n")

    def show(self) -> None:
        """Prints the parts that were not printed yet, and writes the file."""
        with self._lock:
            parts = list(self.content["parts"].items())
            for name, rows in parts[self._shown :]:
                print(f"\n{_table(name, list(rows))}", flush=True)
            self._shown = len(parts)
            self.write()

    def cut_off(self) -> None:
        """Ends the process: a compilation cannot be told to stop."""
        status = 1
        try:
            self.show()
            print("\ncut off: the time is over", flush=True)
            status = self.status()
        finally:
            os._exit(status)

    def status(self) -> int:
        """1 where something is beyond its limit at the highest precision."""
        rows = self.content["parts"].get("golden", [])
        off = [row["name"] for row in list(rows) if row["precision"] == "highest" and row["agrees"] is False]
        if off:
            print(f"not Darknet's numbers at the highest precision: {', '.join(off)}", file=sys.stderr, flush=True)
        return int(bool(off))


def _table(name: str, rows: list[Row]) -> str:
    columns = list(rows[0]) if rows else ["nothing measured"]
    return Table(columns, [[_cell(row[column]) for column in columns] for row in rows], title=name).text()


def _cell(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else None if value is None else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="it is done after at most so many")
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    parser.add_argument("--quick", action="store_true", help="narrow and small: tries the command, measures nothing")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")  # any noise will do: this compiles soonest
    if options.quick:
        jax.config.update("jax_disable_most_optimizations", True)
    where = machine()
    print(f"{where['device']}, {where['cpu']}, {where['cores']} cores, jax {where['jax']}", flush=True)
    try:
        report = Report(options.json, machine=where, minutes=options.minutes, quick=options.quick)
        watch = threading.Timer(max(0.0, end - SPARE_S / 4 - time.monotonic()), report.cut_off)
        watch.daemon = True
        watch.start()
        left = sum(share for share, _ in PARTS.values())
        for name, (share, part) in PARTS.items():
            now = time.monotonic()
            until = now + (end - SPARE_S - now) * share / left
            left -= share
            rows = report.content["parts"][name] = []
            for row in measure(part(QUICK if options.quick else FULL), until):
                rows.append(row)
            report.show()
        watch.cancel()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return report.status()


if __name__ == "__main__":
    sys.exit(main())
