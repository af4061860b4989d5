"""Checkpoints: the latest and the best stay, the best is what is loaded, wrong ones are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from yolo9000_jax.errors import UserError
from yolo9000_jax.training.state import create
from yolo9000_jax.workdir.checkpoints import Checkpoints, load_variables

OPTIMIZER = optax.sgd(0.1, momentum=0.9)


def state(step, average=False, size=3):
    """A state whose arrays all hold the step's number; the average is 100 more."""
    full = jnp.full(size, float(step))
    made = create({"params": {"conv": {"kernel": full}}, "batch_stats": {"mean": full}}, OPTIMIZER, average)
    made = made.replace(step=jnp.asarray(step, jnp.int32))
    return made.replace(average={"conv": {"kernel": full + 100}}) if average else made


def saved_steps(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints(tmp_path, "voc_ap50")
    yield made
    made.close()


def save_all(checkpoints, values, **options):
    for step, value in values.items():
        checkpoints.save(state(step, **options), None if value is None else {"voc_ap50": value, "recall50": 1 - value})
    checkpoints.wait()


def test_latest_and_best_stay(checkpoints, tmp_path):
    save_all(checkpoints, {10: 0.1, 20: 0.8, 30: 0.3, 40: 0.2})
    assert saved_steps(tmp_path) == [20, 40]
    assert (checkpoints.best_step, checkpoints.latest_step) == (20, 40)
    checkpoints.close()
    assert load_variables(tmp_path)["params"]["conv"]["kernel"].tolist() == [20.0] * 3
    again = Checkpoints(tmp_path, "voc_ap50")
    save_all(again, {50: 0.9})
    assert saved_steps(tmp_path) == [50]
    again.close()


def test_steps_without_evaluation(checkpoints, tmp_path, capfd):
    save_all(checkpoints, {10: None, 20: None})
    assert saved_steps(tmp_path) == [20]
    assert load_variables(tmp_path)["params"]["conv"]["kernel"].tolist() == [20.0] * 3
    save_all(checkpoints, {30: 0.0, 40: None})
    assert saved_steps(tmp_path) == [30, 40]
    assert checkpoints.best_step == 30
    assert capfd.readouterr() == ("", "")


def test_saving_a_step_again(checkpoints):
    save_all(checkpoints, {10: None})
    save_all(checkpoints, {10: None, 20: None})
    checkpoints.save(state(20), {"voc_ap50": 0.5})
    checkpoints.wait()
    assert checkpoints.best_step == 20


def test_an_evaluation_without_the_metric_is_never_the_best(checkpoints):
    checkpoints.save(state(1), {"voc_ap50": 0.0})
    checkpoints.save(state(2), {"recall50": 0.9})  # voc_ap50 was None: no truths
    checkpoints.wait()
    assert checkpoints.best_step == 1


@pytest.mark.parametrize("average", [False, True])
def test_restore_is_exact(checkpoints, tmp_path, average):
    original = state(7, average)
    original = original.replace(params=jax.tree.map(lambda x: x + 1 / 3, original.params))
    checkpoints.save(original)
    restored = checkpoints.restore(state(0, average))
    assert jax.tree.structure(restored) == jax.tree.structure(original)
    jax.tree.map(np.testing.assert_array_equal, restored, original)
    loaded = load_variables(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, loaded, dict(original.variables))


@pytest.mark.parametrize("other", [{"average": True}, {"size": 4}])
def test_state_of_another_config(checkpoints, other):
    save_all(checkpoints, {10: None})
    with pytest.raises(UserError, match="checkpoints/10: cannot be restored for this config") as caught:
        checkpoints.restore(state(0, **other))
    assert "\n" not in str(caught.value)


def test_nothing_saved_yet(checkpoints, tmp_path):
    assert checkpoints.latest_step is None
    for action in (lambda: checkpoints.restore(state(0)), lambda: load_variables(tmp_path)):
        with pytest.raises(UserError, match="no checkpoint here yet; train first"):
            action()


def test_loading_makes_no_folder(tmp_path):
    with pytest.raises(UserError, match="no checkpoint here yet"):
        load_variables(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()
