"""Make the golden files that need Darknet's program and a picture: nets, training steps, operations on pictures.

    apt install darknet gcc; python tests/golden/make.py [--output FOLDER]

The numbers come from the library in Debian's package `darknet` (libdarknet.so, the same code as its program), called
through darknet.c. The picture is drawn here, the weights are made by make_weights.py. The other golden files stay as
they are; README.md says where each comes from.
"""

import argparse
import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from make_weights import make_weights  # noqa: E402
from nets import CFGS, NETS, OPERATIONS, TRAININGS  # noqa: E402

LIBRARY = Path("/usr/lib/darknet")
SEED = 1
SHAPES = [  # method of ImageDraw, corners in fractions of the picture, colour
    ("ellipse", [(0.08, 0.15), (0.42, 0.75)], (225, 60, 40)),
    ("rectangle", [(0.5, 0.45), (0.9, 0.95)], (40, 150, 70)),
    ("polygon", [(0.6, 0.4), (0.75, 0.05), (0.95, 0.38)], (240, 210, 50)),
]
IMAGE_WH = [200, 120]  # of the picture from which a net's input is said to be letterboxed
NMS = 0.45
COLUMNS = "index(n*w*h+row*w+col) class prob objectness x y w h (relative to image_wh)"
FLOATS = ctypes.POINTER(ctypes.c_float)


class Library:
    """Darknet's library with darknet.c on top of it, compiled in `folder`."""

    def __init__(self, folder: Path):
        target = folder / "golden.so"
        paths = [f"-I{LIBRARY}/include", f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}"]
        command = ["cc", "-O1", "-shared", "-fPIC", HERE / "darknet.c", "-o", target, *paths, "-ldarknet"]
        subprocess.run(command, check=True)
        self._calls = ctypes.CDLL(str(target))
        for name in ("network_open", "layer_output", "layer_parameters", "picture_operation", "network_predict"):
            self[name].restype = ctypes.c_void_p
        self["layer_info"].restype = ctypes.c_char_p
        for name in ("network_rate", "network_step"):
            self[name].restype = ctypes.c_float

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return getattr(self._calls, name)


def _pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(FLOATS)


def _copy(address: int, count: int) -> np.ndarray:
    return np.ctypeslib.as_array(ctypes.cast(address, FLOATS), (count,)).copy()


class Net:
    """A network in Darknet's memory."""

    def __init__(self, library: Library, cfg: Path, weights: Path, seen: int = 0):
        self._library = library
        self._net = ctypes.c_void_p(library["network_open"](bytes(cfg), bytes(weights), ctypes.c_long(seen)))

    def __call__(self, name: str, *arguments: Any) -> Any:
        return self._library[name](self._net, *arguments)

    def layers(self) -> list[tuple[str, list[int], int]]:
        """Type, [channels, rows, columns] and numbers for a picture of each layer."""
        shape, listed = (ctypes.c_int * 4)(), []
        for index in range(self("network_layers")):
            kind = self("layer_info", index, shape).decode()
            listed.append((kind, list(shape[:3]), shape[3]))
        return listed

    def predict(self, planes: np.ndarray) -> list[np.ndarray]:
        """Every layer's output for one picture, float32 planes."""
        self("network_predict", _pointer(planes))
        return [_copy(self("layer_output", i), count) for i, (_, _, count) in enumerate(self.layers())]

    def detections(self, threshold: float, nms: float) -> np.ndarray:
        """Rows of COLUMNS for what was predicted last; nms 0 suppresses nothing."""
        rows = np.zeros((20000, 8), np.float32)
        floats = map(ctypes.c_float, (threshold, nms))
        return rows[: self("network_detections", *IMAGE_WH, *floats, _pointer(rows), len(rows))]

    def parameters(self, update: bool = False) -> dict[int, list[np.ndarray | None]]:
        """Weights, biases and scales of each layer that has any, or what is to be added to them."""
        found, count = {}, ctypes.c_int()
        for index in range(self("network_layers")):
            arrays = []
            for kind in range(3):
                address = self("layer_parameters", index, kind, update, ctypes.byref(count))
                arrays.append(_copy(address, count.value) if address else None)
            if arrays[0] is not None:
                found[index] = arrays
        return found


def draw(width: int, height: int, turn: int = 0) -> np.ndarray:
    """The picture uint8 [3, H, W]: a sky that grows lighter, a disc, a rectangle, a triangle; `turn` recolours it."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    sky = np.stack([60 + 120 * x, 90 + 100 * y, 200 - 80 * x * y], -1)
    canvas = Image.fromarray(sky.astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    for shape, corners, colour in SHAPES:
        getattr(pen, shape)([tuple(corner) for corner in np.multiply(corners, (width, height))], fill=colour)
    return np.roll(np.asarray(canvas), turn, -1).transpose(2, 0, 1).copy()


def make_net(library: Library, folder: Path, name: str, threshold: float | None, runs: int) -> dict[str, Any]:
    """Writes net_NAME.npz and its input; returns its entry of nets.json. `runs` layers at the end are not run."""
    cfg, weights = Path("cfg") / f"{name}.cfg", folder / f"{name}.weights"
    make_weights(cfg, weights, SEED)
    net = Net(library, cfg, weights)
    layers = net.layers()
    options = dict(line.split("=") for line in cfg.read_text().split("\n\n")[0].splitlines() if "=" in line)
    width, height = int(options["width"]), int(options["height"])
    pixels = draw(width, height)
    source = f"input_drawn_{width}x{height}.npz"
    np.savez_compressed(source, u8=pixels)
    outputs = net.predict(pixels.astype(np.float32) / np.float32(255))
    last = len(layers) - 1 - runs
    data = _describe(outputs[: last + 1]) | {"final": outputs[last], "final_raw": outputs[last - 1]}
    entry = {
        "cfg": cfg.name,
        "seed": SEED,
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "weights_bytes": weights.stat().st_size,
        "weights_stored": False,
        "input": source,
        "size_wh": [width, height],
        "image_wh": IMAGE_WH,
        "layers": layers,
        "output_layer": last,
        "final_shape": layers[last][1],
    }
    if threshold is not None:
        raw, kept = net.detections(threshold, 0), net.detections(threshold, NMS)
        data |= {"dets_raw": raw, "dets_nms": kept}
        entry["dets"] = {"thresh": threshold, "hier_thresh": 0.5, "nms": NMS, "relative": 1, "columns": COLUMNS}
        entry["dets"] |= {"raw": len(raw), "after": len(kept), "map": False}
    np.savez_compressed(f"net_{name}.npz", **data)
    return entry


def _describe(outputs: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Statistics and samples of every layer's output."""
    random = np.random.Generator(np.random.PCG64(0))
    first = np.zeros((len(outputs), 8), np.float32)
    for row, output in zip(first, outputs, strict=True):
        row[: len(output)] = output[:8]
    index = np.stack([random.integers(0, len(output), 32, np.int32) for output in outputs])
    doubles = [output.astype(np.float64) for output in outputs]
    return {
        "layer_stats": np.array([[x.mean(), x.std(), x.min(), x.max()] for x in doubles]),
        "layer_first8": first,
        "sample_index": index,
        "sample_value": np.stack([output[i] for output, i in zip(outputs, index, strict=True)]),
    }


def make_training(library: Library, folder: Path, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Two steps on one batch: writes train/NAME_*; returns its entry of train.json."""
    stem, on_cpu = name.removesuffix("_bn_cpu"), options["bn_mode"] == "cpu"
    cfg, start = Path("cfg") / f"train_{stem}.cfg", folder / "start.weights"
    make_weights(cfg, start, options["weights_seed"])
    net = Net(library, cfg, start, options["seen_before_first_step"])
    pixels = np.stack([draw(options["side"], options["side"], turn) for turn in range(options["batch"])])
    truth = options["truth"]
    np.savez_compressed(f"train/{stem}_input.npz", u8=pixels, truth=truth)
    pictures, steps, seen = pixels.astype(np.float32) / np.float32(255), [], options["seen_before_first_step"]
    for number in range(2):
        cost = net("network_step", _pointer(pictures), _pointer(truth))
        seen += options["batch"]
        updates = net.parameters(update=True)
        if number == 0 and not on_cpu:  # whose batch norm has no exact gradients
            stored = {f"d{kind}{i}": a for i, arrays in updates.items() for kind, a in zip("wbs", arrays, strict=True)}
            np.savez_compressed(f"train/{name}_grads.npz", **{k: v for k, v in stored.items() if v is not None})
        norms = {i: [None if a is None else _norm(a) for a in arrays] for i, arrays in updates.items()}
        rate = net("network_rate")
        steps.append({"seen": seen, "cost": cost, "learning_rate": rate, "update_norms_before_update": norms})
        net("network_update")
    if not on_cpu:
        net("save_weights", f"train/{name}_after2.weights".encode())
    kept = {key: value for key, value in options.items() if key != "truth"}
    return {"cfg": cfg.name, "steps": steps, **kept}


def _norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(array.astype(np.float64)))


def make_operations(library: Library) -> dict[str, Any]:
    """Writes image/ops_64x48.npz; returns its entry of misc.json."""
    pixels = draw(64, 48)
    arrays = {"u8": pixels}
    for name, arguments in OPERATIONS.items():
        planes = pixels.astype(np.float32) / np.float32(255)
        if name == "distort_gray":
            planes = np.repeat(planes[:1], 3, axis=0)
        width, height = arguments.get("w", 64), arguments.get("h", 48)
        rest = [value for key, value in arguments.items() if key not in ("w", "h", "note")]
        numbers = np.array([*rest, *[0] * 5], np.float32)
        kind = name.rsplit("_", 1)[0]
        call = library["picture_operation"]
        address = call(kind.encode(), _pointer(planes), 64, 48, width, height, _pointer(numbers))
        arrays[name] = _copy(address, 3 * width * height).reshape(3, height, width)
    np.savez_compressed("image/ops_64x48.npz", **arrays)
    return {"ops": OPERATIONS}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """One line an entry, so that changes can be read."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in content.items())
    path.write_text("{\n" + lines + "\n}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE, help="a folder for the files, in place of this one")
    output = parser.parse_args().output
    for name in ("cfg", "data", "image", "train"):
        (output / name).mkdir(exist_ok=True, parents=True)
    for path in HERE.glob("data/*"):
        if output != HERE:
            shutil.copy(path, output / "data")
    misc = json.loads((HERE / "misc.json").read_text())
    os.chdir(output)  # where the cfgs find data/
    for pattern in ("cfg/*.cfg", "train/*", "net_*.npz", "input_*.npz"):
        for path in Path().glob(pattern):
            path.unlink()
    for name, text in CFGS.items():
        Path(f"cfg/{name}.cfg").write_text(text)
    with tempfile.TemporaryDirectory() as place:
        library, folder = Library(Path(place)), Path(place)
        nets = {name: make_net(library, folder, name, *options) for name, options in NETS.items()}
        trainings = {f"train/{name}": make_training(library, folder, name, o) for name, o in TRAININGS.items()}
        misc["image/ops_64x48"] = make_operations(library)
    for path, content in {"nets.json": nets, "train/train.json": trainings, "misc.json": misc}.items():
        write_json(Path(path), content)


if __name__ == "__main__":
    main()
