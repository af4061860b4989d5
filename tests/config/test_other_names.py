"""Keys by the names that other programs give them."""

import pytest

from tests.config.refusal import refusal
from yolo9000_jax import config as configs
from yolo9000_jax.config.merging import ELSEWHERE, OTHER_NAMES

KEYS = configs.flat(configs.detection())


def test_what_is_meant_is_a_key():
    assert set(OTHER_NAMES.values()) <= set(KEYS)
    ours = {key.rpartition(".")[2].replace("_", "") for key in KEYS}
    assert not (OTHER_NAMES.keys() | ELSEWHERE.keys()) & ours and not OTHER_NAMES.keys() & ELSEWHERE.keys()


@pytest.mark.parametrize(
    "key, meant",
    [
        ("learning_rate", "did you mean optimizer.learning_rate?"),
        ("lr", "did you mean optimizer.learning_rate?"),
        ("optimizer.lr", "did you mean optimizer.learning_rate?"),
        ("epoch", "did you mean epochs?"),
        ("max-epochs", "did you mean epochs?"),
        ("batch", "did you mean batch_size?"),
        ("imgsz", "did you mean image_size?"),
        ("multi-scale", "did you mean multi_scale?"),
        ("momentm", "did you mean optimizer.momentum?"),
        ("data.sourc", "did you mean data.source?"),
        ("source", "did you mean data.source or classification.source or evaluation.source?"),
        ("device", "JAX_PLATFORMS=cpu, cuda or tpu"),
        ("workers", "all cores of the machine are used"),
        ("resume", "the same --workdir carries on"),
        ("zzz", "the keys are accumulate, augment, "),
    ],
)
def test_other_names(key, meant):
    message = refusal(configs.override, configs.detection(), {key: "1"})
    assert message.startswith(f"--config: there is no config key {key}; ") and meant in message


def test_of_the_pretraining():
    message = refusal(configs.load, "voc", {"pretraining.lr": "1"})
    assert "there is no config key pretraining.lr; did you mean pretraining.optimizer.learning_rate?" in message


@pytest.mark.parametrize(
    "key, text, message",
    [
        ("image_size", "400", "; it must be 32 or more and at most 4096, a multiple of 32: 384 or 416"),
        ("image_size", "31", "a multiple of 32: 32"),
        ("image_size", "9000", "a multiple of 32"),
        ("steps", "'4'", "steps is '4'; it must be a whole number, such as 0; leave the quotes out"),
        ("optimizer.learning_rate", "'1e-3'", "; leave the quotes out"),
        ("steps", "None", "steps is None; it must be a whole number"),
        ("steps", "null", "steps is None; it must be a whole number"),
        ("model.head_convolutions", "1", "model.head_convolutions is 1; it must be True or False"),
        ("data.classes", "('cat', None)", "data.classes[1] is None; it must be text"),
        ("data.classes", "cat", "data.classes is 'cat'; it must be a list, such as ('cat', 'dog')"),
    ],
)
def test_values_of_the_wrong_kind(key, text, message):
    assert message in refusal(configs.override, configs.detection(), {key: text})


@pytest.mark.parametrize("text", ["None", "null"])
def test_nothing_is_an_empty_text_or_list(text):
    values = {"init_from": text, "data.classes": text, "evaluation.source": text}
    config = configs.override(configs.detection(), values)
    assert (config.init_from, config.data.classes, config.evaluation.source) == ("", (), "")
