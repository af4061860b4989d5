"""Run a network that a Darknet cfg describes: a Flax module, and Darknet's weights as its variables and back."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from yolo9000_jax.darknet import layers as plan
from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.weights import Arrays, read_weights
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.layers import (
    BATCH_NORMS,
    BatchNormOptions,
    Connected,
    Conv,
    Local,
    flatten,
    leaky_relu,
    max_pool,
    reorg,
)

ACTIVATIONS = {"linear": None, "leaky": leaky_relu, "relu": nn.relu, "logistic": nn.sigmoid}

# How Darknet starts the weights of convolutions, and those of connected layers (darknet.md 4.1).
NORMAL = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
UNIFORM = nn.initializers.variance_scaling(2.0 / 3, "fan_in", "uniform")


class Network(nn.Module):
    """The network of a cfg. Made by `build_network`.

    From a layer with stopbackward=1 back to the input nothing learns but by the decay.

    Attributes:
      layers: the plan, as `Cfg.layers`.
      input_shape: (height, width, channels) that the cfg names; other sizes go where the layers allow them.
      norm: batch norm of the layers that have it.
      dtype: type of the computation; parameters have `param_dtype`.
    """

    layers: tuple[plan.Layer, ...]
    input_shape: plan.Shape
    norm: BatchNormOptions = BatchNormOptions()
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def __repr__(self) -> str:
        height, width, channels = self.input_shape
        return f"<Network of {len(self.layers)} layers for images of {height}x{width}x{channels}>"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, capture: bool = False) -> Any:
        """Runs the network on images [B, H, W, C] in 0..1.

        Returns:
          By the kind of its last layer, always before activation and in `param_dtype`:
          [region] raw grid [B, S, S, A, 5 + classes]; [softmax] logits [B, classes]; [detection] vector [B, N];
          else the last layer's output [B, H', W', C'].
          With `capture` a pair of that and the list of every layer's output [B, H', W', C'], before activation for the
          types named.

        Raises:
          UserError: for images whose size does not fit the layers.
        """
        self._check_images(images)
        outputs: list[jax.Array] = []
        stopped = max((layer.index for layer in self.layers if layer.stopbackward), default=-1)
        for layer in self.layers:
            x = _join(layer, [outputs[i] if i >= 0 else images for i in layer.inputs])
            x = _run(layer, x, train, self)
            outputs.append(jax.lax.stop_gradient(x) if layer.index <= stopped else x)
        result = _head_output(self.layers, outputs).astype(self.param_dtype)
        return (result, outputs) if capture else result

    def _check_images(self, images: jax.Array) -> None:
        shape, wanted = images.shape[1:], self.input_shape
        fixed = any(isinstance(layer, plan.Connected | plan.Local | plan.Detection) for layer in self.layers)
        if len(shape) != 3 or shape[2] != wanted[2] or (fixed and shape != wanted):
            raise UserError(
                f"images of shape {images.shape}: this network takes [batch, {wanted[0]}, {wanted[1]}, {wanted[2]}]"
                + ("; resize them first" if fixed else " or another height and width")
            )


def _join(layer: plan.Layer, sources: list[jax.Array]) -> jax.Array:
    if len({source.shape[:3] for source in sources}) > 1:
        sizes = ", ".join(f"{source.shape[1]}x{source.shape[2]}" for source in sources)
        raise UserError(f"layer {layer.index} [{layer.type}] joins maps of {sizes}: choose another image size")
    return sources[0] if len(sources) == 1 else jnp.concatenate(sources, -1)


def _run(layer: plan.Layer, x: jax.Array, train: bool, network: Network) -> jax.Array:
    """One layer on its joined input [B, H, W, C]; layers that only mark the network's end pass it on."""
    options: dict[str, Any] = dict(dtype=network.dtype, param_dtype=network.param_dtype, name=f"layer{layer.index}")
    match layer:
        case plan.Convolutional():
            norm = network.norm if layer.batch_normalize else None
            act = ACTIVATIONS[layer.activation]
            convolution = (layer.filters, layer.size, layer.stride, layer.padding, act, norm)
            return Conv(*convolution, kernel_init=NORMAL, **options)(x, train)
        case plan.Connected():
            norm = network.norm if layer.batch_normalize else None
            act = ACTIVATIONS[layer.activation]
            return Connected(layer.output, act, norm, kernel_init=UNIFORM, **options)(x, train)
        case plan.Local():
            size = layer.out_shape[:2]
            act = ACTIVATIONS[layer.activation]
            return Local(layer.filters, layer.size, layer.stride, int(layer.pad), size, act, **options)(x)
        case plan.BatchNorm():
            return network.norm(param_dtype=network.param_dtype, name=options["name"])(x, train)
        case plan.Dropout():
            return nn.Dropout(layer.probability, deterministic=not train)(x)
        case plan.MaxPool():
            return max_pool(x, layer.size, layer.stride, layer.padding)
        case plan.AvgPool():
            return x.astype(network.param_dtype).mean((1, 2), keepdims=True)
        case plan.Reorg():
            return reorg(x, layer.stride)
    return x


def _head_output(layers: tuple[plan.Layer, ...], outputs: list[jax.Array]) -> jax.Array:
    """What the network returns, from the last layer that is not [cost]."""
    last = -1 if len(layers) == 1 or layers[-1].type != "cost" else -2
    layer, x = layers[last], outputs[last]
    match layer:
        case plan.Region():
            return x.reshape(*x.shape[:3], layer.num, layer.coords + 1 + layer.classes)
        case plan.Softmax():
            return flatten(x) / layer.temperature
        case plan.Detection():
            return flatten(x)
    return x


def build_network(
    cfg: Cfg,
    dtype: Any = jnp.float32,
    batch_norm: str = "cpu",
    param_dtype: Any = jnp.float32,
    norm: BatchNormOptions | None = None,
) -> Network:
    """The Flax module of a cfg.

    Args:
        cfg: what `parse_cfg` has read.
        dtype: type of the computation.
        batch_norm: inference divides by "cpu": sqrt(var) + 1e-6, as Darknet without a GPU, whose numbers we can check;
            "gpu": sqrt(var + 1e-5), as the published networks were trained (darknet.md 4.2). Probabilities of published
            networks move by some 1e-4 between the two.
        param_dtype: type of the parameters.
        norm: all options of batch norm, in the place of `batch_norm`.

    Raises:
        UserError: for layers that can be read but not run.
    """
    for layer in cfg.layers:
        if isinstance(layer, plan.Convolutional) and layer.groups != 1:
            where = f"{cfg.name}, line {layer.line}: [convolutional]"
            raise UserError(f"{where} groups={layer.groups}: grouped convolutions can be read but not run")
    if batch_norm not in BATCH_NORMS:
        raise UserError(f"batch_norm={batch_norm!r} is not known: use one of {', '.join(BATCH_NORMS)}")
    return Network(cfg.layers, cfg.net.shape, norm or BATCH_NORMS[batch_norm], dtype, param_dtype)


def load_network(
    cfg: Cfg | str | PathLike,
    weights_path: str | PathLike | None = None,
    dtype: Any = jnp.float32,
    batch_norm: str = "cpu",
    allow_partial: bool = False,
) -> tuple[Network, dict]:
    """A network and its variables, ready for `module.apply(variables, images)`.

    Args:
        cfg: a .cfg file, or what `parse_cfg` has read from one.
        weights_path: its .weights file; without one the variables are random.
        dtype, batch_norm: as in `build_network`.
        allow_partial: take a .weights file of the first layers only; the others start at random.

    Raises:
        UserError: for files that are damaged, or that do not belong together.
    """
    cfg = cfg if isinstance(cfg, Cfg) else parse_cfg(cfg)
    module = build_network(cfg, dtype, batch_norm)
    arrays: Arrays = {}
    if weights_path is not None:
        _, arrays = read_weights(weights_path, cfg, allow_partial)
    variables = to_variables(cfg, arrays)
    if any(layer.parameters() and layer.index not in arrays for layer in cfg.layers):
        images = jnp.zeros((1, *cfg.net.shape), jnp.float32)
        random = jax.jit(module.init)(jax.random.key(0), images)
        variables = unflatten_dict(flatten_dict(random) | flatten_dict(variables))
    return module, variables


def to_variables(cfg: Cfg, arrays: Arrays) -> dict[str, Any]:
    """Flax variables {"params": …, "batch_stats": …} of the layers that `arrays` (from `read_weights`) holds."""
    flat = {}
    for layer in cfg.layers:
        for name, values in arrays.get(layer.index, {}).items():
            place, axes = _places(layer)[name]
            flat[place] = jnp.asarray(values.transpose(axes))
        if isinstance(layer, plan.BatchNorm) and layer.index in arrays:
            flat["params", f"layer{layer.index}", "bias"] = jnp.zeros(layer.in_shape[2])
    return {"params": {}, "batch_stats": {}} | unflatten_dict(flat)


def to_arrays(cfg: Cfg, variables: Mapping[str, Any]) -> Arrays:
    """Darknet's arrays (for `write_weights`) from Flax variables; the inverse of `to_variables`.

    Raises:
        UserError: for variables of another network, or a [batchnorm] layer with biases: .weights files hold none.
    """
    flat = flatten_dict(variables)
    arrays: Arrays = {}
    for layer in cfg.layers:
        where = f"{cfg.name}, line {layer.line}: [{layer.type}]"
        for name, (place, axes) in _places(layer).items():
            if place not in flat:
                raise UserError(f"{where} has no variable {'/'.join(place)}: give the variables of this network")
            values = np.asarray(flat[place]).transpose(np.argsort(axes))
            arrays.setdefault(layer.index, {})[name] = values
        if isinstance(layer, plan.BatchNorm) and np.any(flat.get(("params", f"layer{layer.index}", "bias"), 0)):
            raise UserError(f"{where} has biases, which .weights files can't hold: put a [convolutional] there")
    return arrays


def _places(layer: plan.Layer) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """For each of Darknet's arrays: its path in our variables, and its axes in the order of ours."""
    names = layer.parameters()
    own = (f"layer{layer.index}",)
    norm = own if isinstance(layer, plan.BatchNorm) else (*own, "norm")
    local = isinstance(layer, plan.Local)
    kernel_axes = {"convolutional": (2, 3, 1, 0), "connected": (1, 0), "local": (0, 1, 4, 5, 3, 2)}
    places = {
        "biases": (("params", *(norm if "scales" in names else own), "bias"), (1, 2, 0) if local else (0,)),
        "weights": (("params", *own, "kernel"), kernel_axes.get(layer.type, ())),
        "scales": (("params", *norm, "scale"), (0,)),
        "rolling_mean": (("batch_stats", *norm, "mean"), (0,)),
        "rolling_variance": (("batch_stats", *norm, "var"), (0,)),
    }
    return {name: places[name] for name in names}
