"""Configs: loading FILE[:ROW], completing, overriding single keys; every mistake is one line that names the key."""

import pytest

from tests.config.refusal import refusal
from yolo9000_jax import config as configs

BODY = (
    "from yolo9000_jax import config\ndef get_config(row=None):\n    c = config.detection()\n    c.steps = 4\n    {}\n"
    "    return c\n"
)


def write(path, line="pass"):
    path.write_text(BODY.format(line))
    return str(path)


def test_file_is_loaded_and_completed(tmp_path):
    config = configs.load(write(tmp_path / "a.py", "c.model.width = 0.5"))
    assert (config.model.width, config.steps) == (0.5, 4)
    config.model.width, config.steps = 1.0, 0
    assert config == configs.detection()


def test_a_partial_config_gets_the_defaults(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        "import ml_collections\ndef get_config(row=None):\n"
        "    return ml_collections.ConfigDict({'steps': 7, 'loss': {'class_scale': 2}})\n"
    )
    config = configs.load(str(path))
    assert (config.steps, config.loss.class_scale, config.loss.object_scale) == (7, 2.0, 5.0)


def test_row(tmp_path):
    path = write(tmp_path / "a.py", "c.steps = {'short': 3, None: 9}[row]")
    assert configs.load(f"{path}:short").steps == 3
    assert configs.load(path).steps == 9
    assert configs.load(path.removesuffix(".py")).steps == 9
    message = refusal(configs.load, f"{path}:long")
    assert "a.py:long" in message and "'long'" in message


def test_missing_file(tmp_path):
    assert "none.py: no such config file" in refusal(configs.load, str(tmp_path / "none.py"))


@pytest.mark.parametrize(
    "line, part",
    [
        ("1 / 0", "division by zero"),
        ("raise ValueError('two\\n    lines')", "two lines"),
        ("c.modle.width = 1.0", "modle"),
        ("c.steps = 'many'", "steps"),
        ("return None", "a config is a ConfigDict of keys, not None"),
        ("1 +", "SyntaxError: invalid syntax"),
        ("c.image_size = 100", "image_size is 100; it must be 32 or more and at most 4096, a multiple of 32"),
        ("c.loss.class_scale = -1.0", "loss.class_scale is -1.0; it must be 0 or more"),
        ("c = {'steps': 4, 'pretraining': 'darknet19'}", "pretraining is an experiment, not 'darknet19'"),
    ],
)
def test_a_config_file_that_fails(tmp_path, line, part):
    message = refusal(configs.load, write(tmp_path / "a.py", line))
    assert "a.py" in message and part in message


def test_a_file_without_get_config(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    assert "get_config" in refusal(configs.load, str(tmp_path / "a.py"))


@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("steps", "12", 12),
        ("model.width", "1", 1.0),
        ("optimizer.learning_rate", "1e-4", 1e-4),
        ("model.head_convolutions", "false", False),
        ("model.head_convolutions", "True", True),
        ("model.passthrough", "none", "none"),
        ("data.source", "voc:some folder/a=b", "voc:some folder/a=b"),
        ("data.split", "train[:80%]", "train[:80%]"),
        ("init_from", "12", "12"),
        ("multi_scale", "(320, 352)", (320, 352)),
        ("multi_scale", "320,352", (320, 352)),
        ("multi_scale", "()", ()),
        ("data.classes", "['cat', 'dog']", ("cat", "dog")),
        ("model.anchors_cells", "[(1, 2.5), [3, 4]]", ((1.0, 2.5), (3.0, 4.0))),
        ("optimizer.boundaries", "(0.5, 1)", (0.5, 1.0)),
    ],
)
def test_override(key, value, expected):
    original = configs.detection()
    changed = configs.override(original, {key: value})
    for name in key.split("."):
        changed = changed[name]
    assert changed == expected and type(changed) is type(expected)
    assert repr(changed) == repr(expected)  # also the types inside tuples
    assert original == configs.detection()


@pytest.mark.parametrize(
    "key, value, parts",
    [
        ("stepps", "5", ["no config key stepps", "did you mean steps?"]),
        ("model.widht", "5", ["no config key model.widht", "did you mean model.width?"]),
        ("qqqq", "5", ["no config key qqqq", "the keys are", "batch_size"]),
        ("model", "5", ["model is a group of keys", "width"]),
        ("steps.more", "5", ["steps is {'more': 5}"]),
        ("steps", "many", ["steps is 'many'; it must be a whole number, such as 0"]),
        ("steps", "1.5", ["steps is 1.5", "a whole number, such as"]),
        ("steps", "True", ["steps is True", "a whole number, such as"]),
        ("model.width", "wide", ["model.width is 'wide'", "it must be a number, such as 1.0"]),
        ("model.passthrough", "True", ["model.passthrough is 'True'; it can be paper, darknet, none"]),
        ("model.head_convolutions", "1", ["model.head_convolutions is 1", "it must be True or False, such as True"]),
        ("multi_scale", "320", ["multi_scale is 320", "it must be a list, such as", "(320, 352)"]),
        ("multi_scale", "(320, 'x')", ["multi_scale[1] is 'x'", "a whole number, such as"]),
        ("data.classes", "cat", ["data.classes is 'cat'", "('cat', 'dog')"]),
        ("model.anchors_cells", "(1, 2)", ["model.anchors_cells[0] is 1", "it must be a list, such as"]),
        ("augment.geometry", "crops", ["augment.geometry is 'crops'", "crop, place, rotate_crop, none"]),
        ("evaluation.resize", "crop", ["evaluation.resize is 'crop'", "letterbox"]),
        ("optimizer.schedule", "linear", ["optimizer.schedule is 'linear'", "polynomial"]),
        ("model.compute_dtype", "float16", ["model.compute_dtype is 'float16'", "bfloat16"]),
        ("checkpoint_every", "0", ["checkpoint_every is 0", "1 or more"]),
        ("pretraining.steps", "5", ["pretraining.steps: there is no pretraining", "--config.pretraining=NAME"]),
        ("pretraining.x.steps", "5", ["there is no pretraining"]),
    ],
)
def test_wrong_override(key, value, parts):
    message = refusal(configs.override, configs.detection(), {key: value})
    assert message.startswith("--config: ")
    for part in parts:
        assert part in message


def test_overrides_of_one_group_add_up():
    config = configs.override(configs.detection(), {"model.width": "0.5", "model.num_anchors": "3", "steps": "2"})
    assert (config.model.width, config.model.num_anchors, config.steps) == (0.5, 3, 2)
    assert "model is a group" in refusal(configs.override, config, {"model": "1", "model.width": "0.5"})


def test_unknown_key_in_a_file_names_the_file(tmp_path):
    line = "c = type(c)({'model': {'wdth': 0.5}})"
    message = refusal(configs.load, write(tmp_path / "a.py", line))
    assert "a.py: there is no config key model.wdth; did you mean model.width?" in message


def test_defaults_are_of_their_own_kind():
    """The defaults pass the checks that a user's values pass; all that they leave open is the length."""
    for recipe in (configs.detection, configs.classification, configs.from_scratch, configs.classifier_from_scratch):
        config = recipe()
        assert configs.complete(config) == config and config.is_locked
        assert "steps, epochs and minutes are all 0" in refusal(configs.check, config)
        config.epochs = 1.0
        configs.check(config)
