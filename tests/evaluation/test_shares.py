"""An evaluation that devices and hosts share gives the numbers of one device of one host, to the last bit."""

import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from tests import tiny
from tests.helpers import ROOT
from yolo9000_jax import hosts
from yolo9000_jax.data.records import Dataset, Record
from yolo9000_jax.evaluation import classification

PICTURES = 13  # a prime number: no share is as large as another


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tiny.make_voc(tmp_path_factory.mktemp("prime") / "data", PICTURES)


def evaluated(workdir, source, folder, processes, devices):
    """(exit status, stdout, stderr) of each of the processes that evaluate together, and the numbers of the first."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    running = []
    for index in range(processes):
        numbers = folder / f"{processes}-{devices}-{index}.json"
        command = ["evaluate", "--workdir", workdir, "--dataset", source, "--split", "val", "--json", numbers]
        command += ["--distributed", f"localhost:{port},{processes},{index}"] if processes > 1 else []
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "yolo9000_jax", *map(str, command)],
                env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    texts = [each.communicate(timeout=600) for each in running]
    said = [(each.returncode, *text) for each, text in zip(running, texts, strict=True)]
    written = [(folder / f"{processes}-{devices}-{index}.json").is_file() for index in range(processes)]
    assert [status for status, *_ in said] == [0] * processes, said
    assert written == [True] + [False] * (processes - 1)  # the first alone writes and speaks
    assert all("voc_ap50" not in out for _, out, _ in said[1:])
    return json.loads((folder / f"{processes}-{devices}-0.json").read_text())


@pytest.fixture(scope="module")
def alone(trained, pictures, tmp_path_factory):
    return evaluated(trained, pictures, tmp_path_factory.mktemp("alone"), 1, 1)


@pytest.mark.parametrize(("processes", "devices"), [(1, 8), (2, 1), (3, 1)])
def test_a_detector_has_the_same_numbers(trained, pictures, alone, tmp_path, processes, devices):
    assert alone["images"] == PICTURES
    assert sum(each["truths"] for each in alone["per_class"].values()) == PICTURES  # one in each picture
    assert 0 < alone["voc_ap50"] < 1
    assert evaluated(trained, pictures, tmp_path, processes, devices) == alone


class Guess:
    """A classifier that ranks by the picture's number."""

    classes, synsets, tree = ("a", "b", "c", "d", "e", "f", "g"), None, None

    def stream(self, pictures, *, top, batch_size):
        for picture in pictures:
            order = np.random.default_rng(int(picture.name)).permutation(len(self.classes))
            yield SimpleNamespace(labels=order[:top])

    def outputs(self, *_):
        raise AssertionError("has no tree")


def labelled(count, classes):
    """Pictures of the classes in turn."""
    return [
        Record(str(n), None, 8, 8, np.zeros((0, 4)), np.array([n % len(classes)]), np.zeros(1, bool), lambda: None)
        for n in range(count)
    ]


@pytest.mark.parametrize("processes", [2, 3, 20])
def test_a_classifier_has_the_same_numbers(monkeypatch, processes):
    """Of some classes the classifier has none, so that the shares of the others are of different sizes."""
    classes = ("a", "x", "c", "b", "y")
    data = Dataset("test", "all", classes, labelled(PICTURES, classes))
    alone = classification.evaluate_classifier(Guess(), data, batch_size=2).metrics

    def of_all(action):
        found = []
        for index in range(processes):
            monkeypatch.setattr(jax, "process_index", lambda index=index: index)
            found.append(action())
        return found

    monkeypatch.setattr(jax, "process_count", lambda: processes)
    monkeypatch.setattr(classification, "of_all", of_all)
    assert classification.evaluate_classifier(Guess(), data, batch_size=2).metrics == alone
    assert alone["images"] == 8 and 0 < alone["top5"] < 1


def test_what_is_shared_comes_together_in_order(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    for count in (0, 1, 2, 3, 7):
        shares, places = [], []
        for index in range(3):
            monkeypatch.setattr(jax, "process_index", lambda index=index: index)
            shares.append(hosts.share(list(range(count))))
            places.append(hosts.places(len(shares[-1])).tolist())
        assert places == shares
        assert hosts.in_order(shares) == list(range(count))
