"""Time of one training step of YOLOv2, ours against the same network in PyTorch (channels_last, same threads).

    python experiments/benchmarks/train_step.py --width 1 --size 416 --batch 8

Both make forward pass, backward pass and SGD update for the mean square of the raw grid. The two take turns, step by
step, so that whatever else the machine does hits both; medians and their ratio are printed. Without PyTorch
(`pip install torch`) only ours is timed.
"""

import argparse
import os
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax import config as configs
from yolo9000_jax.models.darknet19 import STAGES
from yolo9000_jax.models.layers import scaled
from yolo9000_jax.models.yolo_v2 import YoloV2
from yolo9000_jax.training import parallel, schedule, state
from yolo9000_jax.training.step import make_step


def mean_square(raw):
    return jnp.mean(jnp.square(raw))


class OurStep:
    """Each call starts one training step on a batch of noise, and gives its metrics; `state` is that after the last.

    model: a network of images. objective: scalar loss of what it gives. variables: its own to start with; None: random.
    """

    def __init__(self, model, size, batch, objective=mean_square, variables=None):
        options = configs.detection().optimizer
        optimizer = schedule.optimizer(options)

        def loss(params, batch_stats, images, step, part):
            variables = {"params": params, "batch_stats": batch_stats}
            raw, changed = model.apply(variables, images, train=True, mutable=["batch_stats"])
            value = objective(raw)
            return value, ({"loss": value}, changed["batch_stats"])

        if variables is None:
            variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
        self.state = parallel.replicate(state.create(variables, optimizer, average=False))
        images = parallel.shard(np.random.default_rng(0).random((batch, size, size, 3), np.float32))
        self._images = jax.device_put(images, self.state.step.sharding)  # split as the state is: not sent at each step
        self._update = parallel.map_step(make_step(loss, optimizer, schedule.learning_rate(options)))
        self._span = np.array([0, 1000], np.int32)

    def __call__(self):
        self.state, metrics = self._update(self.state, self._images, self._span)
        return metrics


def torch_step(width, size, batch):
    """The same in PyTorch, or None where it is not installed."""
    try:
        import torch
        from torch import nn
    except ImportError:
        return None
    torch.set_num_threads(len(os.sched_getaffinity(0)))

    def block(inputs, filters, kernel):
        return nn.Sequential(
            nn.Conv2d(inputs, filters, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(filters, momentum=0.01),
            nn.LeakyReLU(0.1, inplace=True),
        )

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            stages, inputs = [], 3
            for layers in STAGES:
                blocks = []
                for filters, kernel in layers:
                    blocks.append(block(inputs, scaled(filters, width), kernel))
                    inputs = scaled(filters, width)
                stages.append(nn.Sequential(*blocks))
            self.stages, self.pool = nn.ModuleList(stages), nn.MaxPool2d(2)
            side = scaled(64, width)
            self.conv19, self.conv20 = block(inputs, inputs, 3), block(inputs, inputs, 3)
            self.passthrough = block(scaled(512, width), side, 1)
            self.conv21 = block(inputs + 4 * side, inputs, 3)
            self.boxes = nn.Conv2d(inputs, 125, 1)

        def forward(self, x):
            for index, stage in enumerate(self.stages):
                if index:
                    fine, x = x, self.pool(x)
                x = stage(x)
            x = self.conv20(self.conv19(x))
            side = nn.functional.pixel_unshuffle(self.passthrough(fine), 2)
            return self.boxes(self.conv21(torch.cat([side, x], 1)))

    net = Net().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)
    images = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last)

    def run():
        optimizer.zero_grad()
        net(images).square().mean().backward()
        optimizer.step()

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    model = YoloV2(width=options.width, passthrough="darknet")
    steps = {"ours": OurStep(model, options.size, options.batch)}
    if peer := torch_step(options.width, options.size, options.batch):
        steps["torch"] = peer
    times = {name: [] for name in steps}
    for number in range(options.runs + 1):
        for name, run in steps.items():
            started = time.perf_counter()
            jax.block_until_ready(run())
            if number:
                times[name].append(time.perf_counter() - started)
    print(f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores; {options}")
    for name, seconds in times.items():
        print(f"{name:<6} median {np.median(seconds):.3f} s, least {min(seconds):.3f} s a step")
    if peer:
        print(f"ratio of medians {np.median(times['ours']) / np.median(times['torch']):.2f}")


if __name__ == "__main__":
    main()
