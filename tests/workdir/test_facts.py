"""network.json: there and back, and workdirs of before it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import yolo9000_jax as y9
from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.models.network import Network
from yolo9000_jax.wordtree.tree import WordTree
from yolo9000_jax.workdir.facts import Facts, Phase, Run, from_value, is_finished, load_facts, save_facts, to_value

TREE = WordTree(("n00000001", "n00000002"), np.array([-1, 0]), ("animal", "dog"))
NETWORK = Network("detection", ("animal", "dog"), 96, TREE.synsets, TREE, (1,), anchors_cells=((1.0, 2.5),))
RUN = Run(
    8,
    "voc_ap50",
    {"data": "abc"},
    (Phase("", 0, 10, {"batch_size": 4}), Phase("more", 10, 5, {"batch_size": 8})),
)


def refused(action, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("run", [RUN, None])
def test_there_and_back(tmp_path, run):
    facts = Facts(NETWORK, run, pictures_seen=7)
    save_facts(facts, tmp_path)
    for again in (load_facts(tmp_path), from_value(json.loads(json.dumps(to_value(facts))))):
        assert again.network == NETWORK and again.run == run
    assert load_facts(tmp_path).pictures_seen == 7
    assert json.loads((tmp_path / "network.json").read_text())["versions"]["jax"]
    assert RUN.phase.end == 15 and RUN.starts == (0, 10)
    assert [RUN.pictures_seen(step) for step in (0, 4, 10, 12, 15)] == [0, 16, 40, 56, 80]


def test_damaged_files(tmp_path):
    assert "no network.json, so this is no workdir" in refused(load_facts, tmp_path)
    save_facts(Facts(NETWORK, RUN), tmp_path)
    text = (tmp_path / "network.json").read_text()

    def without(key):
        content = json.loads(text)
        del content["run"][key]
        return json.dumps(content)

    for content, part in (
        (text[:50], "network.json: cannot be read"),
        ("[]", "network.json: cannot be read"),
        (text.replace('"format": 1', '"format": 99'), "has format 99, this version reads 1; install the newer version"),
        (text.replace('"max_boxes"', '"most_boxes"'), "network.json: there is no key 'most_boxes' in 'run'; the keys"),
        (text.replace('"width"', '"breadth"'), "network.json: there is no key 'breadth' in 'network'; the keys are"),
        (text.replace('"start": 10', '"start": "ten"'), "run.phases[1].start is 'ten'; it must be a whole number"),
        (text.replace('"data": "abc"', '"data": 3'), "run.data.data is 3; it must be text: restore it from a copy"),
        (text.replace('"phases": [', '"phases": [3, '), "run.phases[0] is 3; it must be a group of keys"),
        (text.replace('"phases"', '"Phases"'), "there is no key 'Phases' in 'run'"),
        (without("phases"), "network.json: run.phases is missing or empty"),
        (text.replace('"start": 0', '"start": -5'), "network.json: run.phases[0].start is -5; it must be 0 or more"),
        (text.replace('"steps": 5', '"steps": -5'), "network.json: run.phases[1].steps is -5; it must be 0 or more"),
        (text.replace('"max_boxes": 8', '"max_boxes": -8'), "network.json: run.max_boxes is -8; it must be 0 or more"),
    ):
        assert content != text
        (tmp_path / "network.json").write_text(content)
        assert part in refused(load_facts, tmp_path)


def test_finished(tmp_path):
    assert not is_finished(tmp_path)
    save_facts(Facts(NETWORK, RUN), tmp_path)
    assert not is_finished(tmp_path)
    (tmp_path / "report").mkdir()
    for step, expected in ((10, False), (15, True)):  # the report of the first phase is not that of the second
        (tmp_path / "report/metrics.json").write_text(json.dumps({"step": step}))
        assert is_finished(tmp_path) == expected


def test_a_batch_size_that_is_none():
    """In the config of a phase, which is read where it is asked for."""
    run = replace(RUN, phases=(Phase("", 0, 10, {"batch_size": "four"}),))
    assert "network.json: batch_size is 'four'; it must be a whole number" in refused(run.pictures_seen, 4)


def test_weights_of_another_network(trained, tmp_path):
    """They were loaded, and Flax refused them with a traceback, or worked with some of them."""
    shutil.copytree(trained, tmp_path / "run")
    facts = load_facts(trained)
    for changes, what in (
        ({"width": 0.125}, r"batch_stats/conv19/norm/mean is (64,) in them and (128,) by it"),
        ({"head_convolutions": False}, r"batch_stats/conv19/norm/mean is (64,) in them and missing by it"),
    ):
        save_facts(replace(facts, network=replace(facts.network, **changes)), tmp_path / "run")
        message = (
            f"{tmp_path}/run/network.json: is not of the network in its checkpoints: {what}; restore it from a copy"
        )
        assert refused(y9.load, tmp_path / "run") == message


@pytest.fixture
def earlier(trained, tmp_path):
    """A workdir as versions before network.json left it: one config that the run had filled in."""
    folder = tmp_path / "earlier"
    shutil.copytree(trained, folder)
    (folder / "network.json").unlink()
    network = load_facts(trained).network
    config = configs.read(folder / "config.json").to_dict()
    for key in ("epochs", "minutes"):
        del config[key]
    config["model"] |= {"classes": network.classes, "anchors_cells": network.anchors_cells}
    del config["evaluation"]["sampling"], config["evaluation"]["metric"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_workdir_of_an_earlier_version_is_used(earlier, trained):
    facts = load_facts(earlier)
    assert facts.run is None and facts.network.sampling == "darknet"
    assert facts.network.anchors_cells == load_facts(trained).network.anchors_cells
    detector = y9.load(earlier)
    assert detector.classes == ("disc", "rectangle") and detector.size_wh == (64, 64)
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    assert len(detector(picture, threshold=0.0))


def test_but_not_carried_on_with(earlier, trained):
    from tests import tiny
    from yolo9000_jax.training.loop import train

    message = refused(train, tiny.tiny_config(f"voc:{trained.parent / 'data'}"), earlier)
    assert f"start from its weights in another workdir: --config.init_from={earlier}" in message
