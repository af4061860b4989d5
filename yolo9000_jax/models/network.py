"""What a trained network is: everything that applying it takes besides its weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from yolo9000_jax import text
from yolo9000_jax.config import CHOICES
from yolo9000_jax.config.ranges import check_value
from yolo9000_jax.errors import UserError
from yolo9000_jax.values import from_values
from yolo9000_jax.wordtree.tree import WordTree


@dataclass(frozen=True)
class Network:
    """The facts of a network, as `network.json` of a workdir holds them; `config.json` says what was asked for instead.

    task: "detection" or "classification".
    classes: names of its C classes, in the order of the labels; with a tree those of its nodes.
    synsets: WordNet synset of each class or None; None where all are unknown.
    tree: the WordTree that the classes form, if they do.
    nodes_with_boxes: of a detector with a tree, the nodes for which its training data had boxes; None: not known.
    image_size: side of the input that it is used at, in pixels.
    resize: how a picture is brought to that size: "stretch", "letterbox" or "crop".
    sampling: how its pixels are blended then: "half_pixel", as in training, or "darknet" (darknet.md 1).
    hierarchy_rule: what "sure enough" is in a tree: "conditional" or "darknet" (darknet.md 7.3).
    anchors_cells: priors (width, height) of YOLOv2 in cells of 32 pixels.

    The others say which module it is, and are the keys of `config.model` of the same names.
    """

    task: str
    classes: tuple[str, ...]
    image_size: int
    synsets: tuple[str | None, ...] | None = None
    tree: WordTree | None = None
    nodes_with_boxes: tuple[int, ...] | None = None
    resize: str = "stretch"
    sampling: str = "half_pixel"
    hierarchy_rule: str = "conditional"
    anchors_cells: tuple[tuple[float, float], ...] = ()
    architecture: str = "yolo_v2"
    trunk: str = "darknet19"
    width: float = 1.0
    head_convolutions: bool = True
    passthrough: str = "paper"
    box_parametrisation: str = "direct"
    head: str = "connected"
    hidden: int = 0
    dropout: float = 0.5
    side: int = 7
    boxes_per_cell: int = 2
    logits: str = "linear"
    use_batch_norm: bool = True
    batch_norm: str = "gpu"
    batch_norm_momentum: float = 0.99
    compute_dtype: str = "float32"
    cfg: str = ""

    def to_json(self) -> dict[str, Any]:
        """The facts for a file, without the tree, which has files of its own."""
        found = asdict(replace(self, tree=None))
        del found["tree"]
        return found

    @classmethod
    def from_json(cls, values: Mapping[str, Any], tree: WordTree | None, where: str) -> "Network":
        """What `to_json` gave. Raises UserError naming `where` and what is unknown, missing or impossible in it."""
        if isinstance(values, Mapping) and isinstance(values.get("passthrough"), bool):  # before it had names
            values = {**values, "passthrough": "darknet" if values["passthrough"] else "none"}
        found = from_values(cls, values, where, "network", tree=tree)
        count = len(found.classes)
        impossible = {
            "task": found.task not in ("detection", "classification"),
            "image_size": found.image_size < 1,
            "synsets": found.synsets is not None and len(found.synsets) != count,
            "nodes_with_boxes": not all(0 <= node < count for node in found.nodes_with_boxes or ()),
            "resize": found.resize not in (*CHOICES["evaluation.resize"], "crop"),
        }
        for name in (name for name, wrong in impossible.items() if wrong):
            value = repr(getattr(found, name))[:80]
            raise UserError(f"{where}: network.{name} is {value}, which it cannot be; restore the file from a copy")
        keys = {name: f"model.{name}" for name in ("anchors_cells", *ARCHITECTURE)}
        for name, key in (keys | {name: f"evaluation.{name}" for name in ("sampling", "hierarchy_rule")}).items():
            check_value(getattr(found, name), f"network.{name}", where, key)
        return found

    @property
    def seen(self) -> list[str] | None:
        """Synsets of the nodes that had boxes in training; None without a tree, or where that is not known."""
        if self.tree is None or self.nodes_with_boxes is None:
            return None
        return [self.tree.synsets[node] for node in self.nodes_with_boxes]


# What says which module a network is: the fields that are keys of config.model as well.
ARCHITECTURE = tuple(field.name for field in fields(Network))[-17:]


def differences(old: Network, new: Network) -> list[str]:
    """The facts, as "name: old -> new", in which two networks differ so that one's weights do not serve the other."""
    free = ("image_size", "resize", "sampling", "hierarchy_rule", "nodes_with_boxes", "tree", "dropout")
    names = [field.name for field in fields(Network) if field.name not in free]
    pairs = [(name, getattr(old, name), getattr(new, name)) for name in names]
    found = [f"{name}: {text.changed(before, after)}" for name, before, after in pairs if before != after]
    if (old.tree is None) != (new.tree is None):
        found.append("tree: there was one" if new.tree is None else "tree: there was none")
    elif old.tree != new.tree:
        found.append("tree: its nodes or their names differ")
    return found
