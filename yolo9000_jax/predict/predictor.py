"""What a detector and a classifier have in common: a trained network, and how pictures are brought to it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, cast

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from yolo9000_jax.errors import UserError
from yolo9000_jax.html import Html, card, folded, text
from yolo9000_jax.images.resizing import Resize, Sampling, Way
from yolo9000_jax.predict.pictures import Picture, to_pixels
from yolo9000_jax.predict.streaming import run_in_batches
from yolo9000_jax.wordtree.tree import WordTree

SHARES = "shares"  # the axis of the devices that share a batch
LISTED = 200  # classes, in a notebook


class Predictor:
    """A trained network with everything needed to apply it to pictures; a subclass reads what it says.

    Args:
        model: Flax module; `apply(variables, images [B, H, W, 3])` gives the output that the subclass reads.
        variables: its variables.
        classes: names of the C classes.
        size_wh: width and height of the network's input in pixels.
        resize: how a picture is brought to that size, one of the class's `resizes`.
        sampling: where the pixels are sampled: "darknet", or "half_pixel" (see images.resizing).
        tree: WordTree of the classes, if they form one.
        synsets: WordNet synset of each class or None; None: all unknown.
        notes: remarks for the user on what was found while loading.

    `size_wh`, `resize`, `sampling` and `devices` may be changed afterwards.
    """

    resizes: ClassVar[tuple[str, ...]] = ("letterbox", "stretch")

    def __init__(
        self,
        model: nn.Module,
        variables: Mapping[str, Any],
        classes: Sequence[str],
        size_wh: Sequence[int],
        resize: str,
        sampling: str = "darknet",
        *,
        tree: WordTree | None = None,
        synsets: Sequence[str | None] | None = None,
        notes: Sequence[str] = (),
    ):
        self.model, self.variables = model, variables
        self.classes = tuple(classes)
        width, height = map(int, size_wh)
        self.size_wh: tuple[int, int] = (width, height)
        self._resize = self._resizer(resize, sampling)
        self.tree, self.synsets, self.notes = tree, synsets, tuple(notes)
        self._mesh: Mesh | None = None

    @property
    def devices(self) -> tuple[jax.Device, ...]:
        """This host's devices that the network works on, each with a batch of its own at a time; at first the default.

        With D of them, inputs that it is given directly are a multiple of D. A device runs the same program, whatever
        D is: what is found in a picture does not depend on it.
        """
        return tuple(jax.devices()[:1]) if self._mesh is None else tuple(self._mesh.devices.flat)

    @devices.setter
    def devices(self, devices: Sequence[jax.Device]) -> None:
        # One program on them all, and none over several hosts: each of these reads and answers at its own pace.
        self._mesh = Mesh(np.array(devices), (SHARES,))
        self.variables = jax.device_put(self.variables, NamedSharding(self._mesh, PartitionSpec()))

    @property
    def resize(self) -> str:
        """How a picture is brought to the network's size."""
        return self._resize.way

    @resize.setter
    def resize(self, way: str) -> None:
        self._resize = self._resizer(way, self.sampling)

    @property
    def sampling(self) -> str:
        """Where the pixels of the network's input are sampled in the picture."""
        return self._resize.sampling

    @sampling.setter
    def sampling(self, sampling: str) -> None:
        self._resize = self._resizer(self.resize, sampling)

    def _resizer(self, way: str, sampling: str) -> Resize:
        if way not in self.resizes:
            raise UserError(f"resize {way!r}: choose {', '.join(self.resizes[:-1])} or {self.resizes[-1]}")
        return Resize(cast(Way, way), cast(Sampling, sampling))  # which checks the sampling

    def __repr__(self) -> str:
        name, model = type(self).__name__, type(self.model).__name__
        tree = "" if self.tree is None else " in a tree"
        width, height = self.size_wh
        return f"<{name} {model}, {len(self.classes)} classes{tree}, {width}x{height}, {self.resize}>"

    def _repr_html_(self) -> Html:
        width, height = self.size_wh
        count = sum(np.size(leaf) for leaf in jax.tree.leaves(self.variables.get("params", {})))
        facts = {
            "network": f"{type(self.model).__name__}, {count / 1e6:.2f} M parameters",
            "input": f"{width}x{height} pixels, {self.resize}",
        }
        classes = folded(f"{len(self.classes)} classes", text(_some(self.classes)))
        tree = () if self.tree is None else (folded("tree", self.tree._repr_html_()),)
        notes = () if not self.notes else (folded("notes", text("\n".join(self.notes))),)
        return card(type(self).__name__, facts, classes, *tree, *notes)

    def to_inputs(self, pictures: Sequence[Picture]) -> np.ndarray:
        """The network's inputs of pictures: float32 [B, height, width, 3] in 0..1. Raises UserError as a call does."""
        width, height = self.size_wh
        inputs = np.zeros((len(pictures), height, width, 3), np.float32)
        read = self._reader()
        for picture, target in zip(pictures, inputs, strict=True):
            read(picture, target)
        return inputs

    def _run(
        self, pictures: Iterable[Picture], program: Callable[[np.ndarray], Any], batch_size: int, **options: Any
    ) -> Iterator[tuple[np.ndarray, Any]]:
        """The pixels of each picture, in order, and its row of what the program makes of a batch of inputs."""
        width, height = self.size_wh
        options |= {"input_shape": (height, width, 3), "batch_size": batch_size * len(self.devices)}
        return run_in_batches(pictures, self._reader(), program, **options)

    def _reader(self) -> Callable[[Picture, np.ndarray], np.ndarray]:
        """Reads a picture, writes its network input into an array, returns its pixels; by what is set up now."""
        resize, size_wh = self._resize, self.size_wh

        def read(picture: Picture, target: np.ndarray) -> np.ndarray:
            pixels = to_pixels(picture)
            target[:] = resize.apply(pixels, *size_wh)
            return pixels

        return read

    def forward(self, inputs: np.ndarray | jax.Array) -> jax.Array:
        """The network's output for inputs [B, height, width, 3], by a program compiled once for all equal models."""
        return _apply(self.model, self._mesh, self.variables, inputs)

    def read_output(self, function: Callable[..., Any], output: jax.Array, *arguments: Any) -> Any:
        """function(output, *arguments), compiled; what is compiled serves all functions that are equal.

        Args:
            function: works on JAX arrays, and is hashable; the first axis of all that it gives is that of the output.
            output: of `forward`.
            arguments: arrays, or None.
        """
        return _read_output(function, self._mesh, output, *arguments)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f", … {rest} more" if rest > 0 else "")


@partial(jax.jit, static_argnames=("model", "mesh"))
def _apply(model: nn.Module, mesh: Mesh | None, variables: Mapping[str, Any], inputs: jax.Array) -> jax.Array:
    return cast(jax.Array, _shared(lambda inputs, variables: model.apply(variables, inputs), mesh)(inputs, variables))


@partial(jax.jit, static_argnames=("function", "mesh"))
def _read_output(function: Callable[..., Any], mesh: Mesh | None, output: jax.Array, *arguments: Any) -> Any:
    return _shared(lambda output, arguments: function(output, *arguments), mesh)(output, arguments)


def _shared(function: Callable[[jax.Array, Any], Any], mesh: Mesh | None) -> Callable[[jax.Array, Any], Any]:
    """function(batch, others), each device of the mesh with its share of the batch."""
    if mesh is None:
        return function
    shares, whole = PartitionSpec(SHARES), PartitionSpec()
    return jax.shard_map(function, mesh=mesh, in_specs=(shares, whole), out_specs=shares, check_vma=False)
