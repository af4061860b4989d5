"""Where a run takes its first weights from: pre-training, another workdir, or Darknet's file."""

from typing import Any

import jax
import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger
from yolo9000_jax.models.network import Network
from yolo9000_jax.places import as_path
from yolo9000_jax.training import parallel
from yolo9000_jax.workdir.facts import load_best

DARKNET = "darknet:"  # before the .weights file in init_from


def start_variables(where: str, fresh: dict[str, Any], network: Network) -> dict[str, Any]:
    """`fresh` variables with all that `where` has of the same name and shape; read by the first host.

    Args:
        where: a workdir, or darknet:FILE.weights.
        fresh: variables of the network to train, as NumPy arrays.
        network: what it is.

    Raises:
        UserError: nothing is there, or nothing of it fits.
    """
    return parallel.from_first(lambda: take_fitting(fresh, _read(where, network), where), fresh)


def _read(where: str, network: Network) -> dict[str, Any]:
    if where.startswith(DARKNET):
        from yolo9000_jax.darknet.convert import read_start

        return read_start(where.removeprefix(DARKNET), network)
    return load_best(as_path(where))[0]


def take_fitting(fresh: Any, loaded: Any, where: str) -> Any:
    """`fresh` with every loaded array of the same name and shape. Raises UserError where none fits."""
    flat = dict(jax.tree_util.tree_flatten_with_path(loaded)[0])
    taken = 0

    def choose(path: Any, array: Any) -> Any:
        nonlocal taken
        other = flat.get(path)
        if other is None or np.shape(other) != np.shape(array):
            return array
        taken += 1
        return np.asarray(other)

    chosen = jax.tree_util.tree_map_with_path(choose, fresh)
    if not taken:
        raise UserError(f"{where}: none of its arrays fits this model; check model.width and model.trunk")
    logger.info(f"starting from {where}: {taken} of {len(jax.tree.leaves(fresh))} arrays")
    return chosen
