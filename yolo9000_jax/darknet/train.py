"""Train a network as its cfg says: learning rate, update and options of the loss (darknet.md 5, 8 and 12)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from yolo9000_jax.darknet.cfg import Cfg
from yolo9000_jax.darknet.layers import Detection, Layer, Net, Region
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.layers import is_kernel


def learning_rate(net: Net, unsigned: bool = False) -> Callable[[Any], jax.Array]:
    """The rate as a function of the batch's number, for every policy of [net] but "random" (darknet.md 8).

    Darknet numbers a batch by the images seen with it, divided by `batch`: a training's first update has number 1.

    Args:
        net: the options of [net].
        unsigned: count as Darknet's last version does, in unsigned numbers. A negative step then ends the schedule
            before it begins (yolov2-tiny-voc trains at .001 for ever), and "sigmoid" gives 0 before `step`. By default
            both are as meant, and as older versions had them: a negative step counts from the start on.

    Returns:
        rate(batch_num) -> scalar; works on traced numbers, in float64 where JAX has it enabled.

    Raises:
        UserError: for policy=random, for policy=poly without max_batches, and for options that could not be read.
    """
    _check_read(net)
    if net.policy == "random":
        raise UserError("policy=random draws another rate at every update: choose another policy in [net]")
    if net.policy == "poly" and not net.max_batches:
        raise UserError("policy=poly needs max_batches in [net]: the batch at which the rate reaches 0")

    def rate(batch_num: Any) -> jax.Array:
        number = jnp.asarray(batch_num, jnp.result_type(float))
        burning = (number / max(net.burn_in, 1)) ** net.power
        return net.learning_rate * jnp.where(number < net.burn_in, burning, _factor(net, number, unsigned))

    return rate


def _check_read(part: Net | Layer) -> None:
    if part.unread:
        raise UserError(f"{', '.join(part.unread)}: cannot be trained with; correct it in the cfg")


def _factor(net: Net, number: jax.Array, unsigned: bool) -> Any:
    match net.policy:
        case "steps":
            factor: Any = 1.0
            going: Any = True
            for step, scale in zip(net.steps, net.scales, strict=True):
                going = going & (number >= step) & (step >= 0 or not unsigned)
                factor = factor * jnp.where(going, scale, 1.0)
            return factor
        case "step":
            return net.scale ** (number // net.step)
        case "exp":
            return net.gamma**number
        case "poly":
            return (jnp.maximum(net.max_batches - number, 0) / net.max_batches) ** net.power
        case "sigmoid":
            rising = jax.nn.sigmoid(-net.gamma * (number - net.step))
            return jnp.where(number < net.step, 0, rising) if unsigned else rising
    return 1.0


def optimizer(cfg: Cfg, seen: int = 0) -> optax.GradientTransformation:
    """Darknet's update (darknet.md 8): SGD with momentum; decay on kernels only, not on biases or batch norm.

    It takes the gradient of the mean over the images of a whole batch (all its subdivisions). `learning_rate` in a
    layer's section multiplies that layer's rate. From a layer with stopbackward=1 back to the input no gradient counts;
    as in Darknet, decay goes on there.

    Args:
        cfg: the network, built by `build_network`.
        seen: images seen before the first update, as the header of its .weights file says.
    """
    for layer in cfg.layers:
        _check_read(layer)
    rate, first = learning_rate(cfg.net), seen // cfg.net.batch + 1
    stopped = max((layer.index for layer in cfg.layers if layer.stopbackward), default=-1)
    return optax.chain(
        _scale_layers({f"layer{index}": 0.0 for index in range(stopped + 1)}),
        optax.add_decayed_weights(cfg.net.decay, mask=is_kernel),
        optax.sgd(lambda count: rate(first + count), momentum=cfg.net.momentum),
        _scale_layers({f"layer{layer.index}": layer.learning_rate for layer in cfg.layers}),
    )


def _scale_layers(factors: dict[str, float]) -> optax.GradientTransformation:
    """Multiplies the updates of each layer named by its factor."""

    def scale(updates: dict[str, Any], _: Any) -> dict[str, Any]:
        return {name: optax.tree.scale(factors.get(name, 1.0), layer) for name, layer in updates.items()}

    return optax.stateless(scale)


def loss_options(head: Region | Detection) -> dict[str, Any]:
    """What a [region] or [detection] section says, as keyword arguments of `region_loss` or `yolo_v1_loss`.

    A region's `tree` and `map` are files, which the caller reads.

    Raises:
        UserError: for random=1 in [detection], which trains random boxes for a while, and for options that could not
            be read.
    """
    _check_read(head)
    names = ("coord_scale", "object_scale", "noobject_scale", "class_scale", "rescore")
    options = {name: getattr(head, name) for name in names}
    if isinstance(head, Region):
        return options | {
            "anchors_cells": np.reshape(head.anchors, (-1, 2)),
            "ignore_threshold": head.thresh,
            "bias_match": head.bias_match,
            "background": head.background,
            "class_activation": "softmax" if head.softmax else "logistic",
        }
    if head.random:
        raise UserError("[detection] random=1 is not supported in training: remove it from the cfg")
    layout = {"side": head.side, "boxes_per_cell": head.num, "num_classes": head.classes}
    return options | layout | {"sqrt": head.sqrt, "softmax": head.softmax, "forced": head.forced}
