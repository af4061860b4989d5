"""What a page says of the tree of the classes: its nodes, and how far down it the answers go."""

from typing import Any

import numpy as np

from yolo9000_jax.evaluation.mistakes import IOU_THRESHOLD
from yolo9000_jax.evaluation.result import Compared
from yolo9000_jax.evaluation.voc import GroundTruth, overlaps
from yolo9000_jax.text import printable

STEPS = 100  # of the threshold, from 0 to 1


def tree_nodes(compared: Compared) -> list[list[Any]]:
    """The nodes that are evaluated, and those above them, from the top down: [name, synset, place of the node above in
    this list or -1, class or -1] each."""
    tree = compared.tree
    assert tree is not None
    labels = {node: label for label, node in enumerate(compared.nodes)}
    paths = sorted({tree.path(node)[:length] for node in labels for length in range(1, len(tree.path(node)) + 1)})
    places = {path[-1]: place for place, path in enumerate(paths)}
    return [
        [
            printable(tree.names[path[-1]]),
            printable(tree.synsets[path[-1]]),
            places[path[-2]] if len(path) > 1 else -1,
            labels.get(path[-1], -1),
        ]
        for path in paths
    ]


def descent(compared: Compared) -> dict[str, list[float]] | None:
    """How far down the tree the answers go: of the objects that lie below another class of the data set, the share
    with a detection of at least each score, which is on the object by IoU .5, as "class": its own class, or "above": at
    best a class above it. None where no class lies below another."""
    tree, nodes = compared.tree, list(compared.nodes)
    assert tree is not None
    labels = {node: label for label, node in enumerate(nodes)}
    paths = [[labels[node] for node in tree.path(node) if node in labels] for node in nodes]
    own, above = [], []
    for found, truth, judged in zip(compared.detections, compared.truths, compared.judged, strict=True):
        best = found._replace(boxes_xyxy=found.boxes_xyxy[judged.places], scores=judged.scores, labels=judged.labels)
        counting = np.flatnonzero(~(truth.difficult | truth.crowd))
        counting = counting[[len(paths[label]) > 1 for label in truth.labels[counting]]] if len(counting) else counting
        shares = overlaps(best, GroundTruth(truth.boxes_xyxy[counting], truth.labels[counting], counting < 0))
        for column, label in enumerate(truth.labels[counting]):
            on_it = shares[:, column] >= IOU_THRESHOLD
            own.append(best.scores[on_it & (best.labels == label)].max(initial=-1.0))
            above.append(best.scores[on_it & np.isin(best.labels, paths[label][:-1])].max(initial=-1.0))
    if not own:
        return None
    scores, coarse = np.array(own), np.array(above)
    thresholds = np.linspace(0, 1, STEPS + 1)[:, None]
    reached = scores >= thresholds
    return {
        "class": np.round(reached.mean(1), 4).tolist(),
        "above": np.round((~reached & (coarse >= thresholds)).mean(1), 4).tolist(),
    }
