"""What is said of the devices."""

import os

import jax
import pytest

from yolo9000_jax import devices
from yolo9000_jax.errors import UserError


class Device:
    def __init__(self, platform, device_kind):
        self.platform, self.device_kind = platform, device_kind


@pytest.mark.parametrize(
    "found, said",
    [
        ([Device("gpu", "NVIDIA H100")], "gpu (NVIDIA H100)"),
        ([Device("tpu", "TPU v4")] * 32, "32 tpu (TPU v4)"),
    ],
)
def test_devices(monkeypatch, found, said):
    monkeypatch.setattr(jax, "devices", lambda: found)
    assert devices.described() == said


def test_cpu(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: [Device("cpu", "cpu")])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert devices.described() == "cpu (1 thread)"


@pytest.mark.parametrize(
    "error, part",
    [
        (AssertionError(), "which JAX_PLATFORMS asks for; install"),
        (RuntimeError("Unable to initialize backend 'cuda': no.\n (you may need to)"), "backend 'cuda': no); install"),
    ],
)
def test_a_kind_that_is_not_there(monkeypatch, error, part):
    def fails():
        raise error

    monkeypatch.setattr(jax, "devices", fails)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(UserError, match="^JAX finds no cuda device here") as caught:
        devices.described()
    assert part in str(caught.value) and "\n" not in str(caught.value)
