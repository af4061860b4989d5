"""A region network from Darknet's files in PyTorch (`pip install torch`), to compare with."""

import torch
from torch import nn

from yolo9000_jax.darknet.cfg import Cfg
from yolo9000_jax.darknet.weights import read_weights
from yolo9000_jax.errors import UserError

ACTIVATIONS = {"linear": nn.Identity(), "leaky": nn.LeakyReLU(0.1, inplace=True)}


class Network(nn.Module):
    """The layers of a plan, for inference: images [B, 3, H, W] -> [B, A * (5 + C), S, S'] before activation."""

    def __init__(self, plan: Cfg, weights_path: str):
        super().__init__()
        _, arrays = read_weights(weights_path, plan)
        self.plan, self.steps = plan.layers, nn.ModuleList(_step(layer, arrays) for layer in plan.layers)
        self.eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward(self, images):
        outputs = []
        for layer, step in zip(self.plan, self.steps, strict=True):
            outputs.append(step(torch.cat([outputs[i] if i >= 0 else images for i in layer.inputs], 1)))
        return outputs[-1]


class Reorg(nn.Module):
    """Darknet's reorg (darknet.md 4.5)."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        batch, channels, height, width = x.shape
        s = self.stride
        x = x.reshape(batch, channels // s**2, height, s, width, s).permute(0, 3, 5, 1, 2, 4)
        return x.reshape(batch, channels * s**2, height // s, width // s)


def _step(layer, arrays) -> nn.Module:
    match layer.type:
        case "convolutional" if layer.activation in ACTIVATIONS and layer.groups == 1:
            return nn.Sequential(*_convolution(layer, arrays[layer.index]), ACTIVATIONS[layer.activation])
        case "maxpool":
            return nn.Sequential(*_max_pool(layer))
        case "reorg":
            return Reorg(layer.stride)
        case "route" | "region":
            return nn.Identity()
    raise UserError(f"layer {layer.index} [{layer.type}] is not written for PyTorch")


def _convolution(layer, arrays) -> list[nn.Module]:
    arrays = {name: torch.from_numpy(values) for name, values in arrays.items()}
    channels, norm = layer.in_shape[2], layer.batch_normalize
    convolution = nn.Conv2d(channels, layer.filters, layer.size, layer.stride, layer.padding, bias=not norm)
    state = {"weight": arrays["weights"]} | ({} if norm else {"bias": arrays["biases"]})
    convolution.load_state_dict(state)
    if not norm:
        return [convolution]
    norm = nn.BatchNorm2d(layer.filters, eps=0)
    variance = (arrays["rolling_variance"].sqrt() + 1e-6).square()  # divides as Darknet on a CPU (darknet.md 4.2)
    state = {"weight": arrays["scales"], "bias": arrays["biases"], "running_mean": arrays["rolling_mean"]}
    norm.load_state_dict(state | {"running_var": variance, "num_batches_tracked": torch.tensor(0)})
    return [convolution, norm]


def _max_pool(layer) -> list[nn.Module]:
    """The pool, after as much padding as its windows reach outside (darknet.md 4.3)."""
    before = layer.padding // 2
    sides = zip(layer.in_shape[:2], layer.out_shape[:2], strict=True)
    rows, columns = (max((out - 1) * layer.stride + layer.size - before - side, 0) for side, out in sides)
    pool = nn.MaxPool2d(layer.size, layer.stride)
    padding = (before, columns, before, rows)
    return [nn.ConstantPad2d(padding, -torch.inf), pool] if any(padding) else [pool]
