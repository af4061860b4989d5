"""What a detection task settles for each kind of detector, and YOLOv1 trained by it."""

import jax
import numpy as np
import pytest

from tests import tiny
from yolo9000_jax.boxes.priors import hand_picked_anchors, to_cells
from yolo9000_jax.errors import UserError
from yolo9000_jax.tasks import make_task
from yolo9000_jax.training import loop as training
from yolo9000_jax.training import parallel, state


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    c = tiny.tiny_config(tiny.make_voc(tmp_path_factory.mktemp("voc") / "data"))
    c.multi_scale, c.multi_scale_every = (), 10
    return c


def changed(config, image_size=64, **model):
    c = config.copy_and_resolve_references()
    c.image_size = image_size
    c.model.update(model)
    return c


def test_priors(config, said):
    kmeans = make_task(changed(config)).network
    assert len(kmeans.anchors_cells) == config.model.num_anchors and any("average IoU" in line for line in said)
    picked = make_task(changed(config, 96, priors="hand_picked")).network.anchors_cells
    np.testing.assert_allclose(picked, to_cells(hand_picked_anchors(), 96), atol=5e-4)
    given = ((1.0, 2.0),)
    assert make_task(changed(config, priors="hand_picked", anchors_cells=given)).network.anchors_cells == given
    assert not make_task(changed(config, architecture="yolo_v1", trunk="tiny")).network.anchors_cells


def test_sizes_are_multiples_of_the_stride(config):
    make_task(changed(config, 96))
    for size, architecture, stride in ((80, "yolo_v2", 32), (96, "yolo_v1", 64)):
        with pytest.raises(UserError, match=f"image_size {size}: an input size must be a multiple of {stride}"):
            make_task(changed(config, size, architecture=architecture, trunk="extraction"))


@pytest.mark.usefixtures("optimised")
def test_yolo_v1_learns(config):
    """The loss of one batch falls; its dropout differs from step to step; its weights' scales are the config's."""
    c = changed(config, architecture="yolo_v1", trunk="tiny", side=2, hidden=64)
    c.optimizer.learning_rate, c.optimizer.burn_in, c.steps = 0.01, 0, 30
    task = make_task(c)
    optimizer, update = training.make_update(task)
    current = parallel.replicate(state.create(task.init(0), optimizer, average=False))
    batch = parallel.shard(next(task.batches(0, 1)))
    losses = []
    for _ in range(30):
        current, metrics = update(current, batch, np.array([0, 30], np.int32))
        losses.append({key: float(value[0]) for key, value in metrics.items() if key.startswith("loss")})
    parts = ("loss_xy", "loss_wh", "loss_object", "loss_class")
    assert losses[0]["loss"] == pytest.approx(sum(losses[0][part] for part in parts), rel=1e-4)
    assert np.mean([row["loss"] for row in losses[-3:]]) < 0.6 * losses[0]["loss"]
    params, batch_stats = current.params, current.batch_stats

    def forward(coord_scale):
        """The loss's parts as a function of the step, whose dropout is the step's."""
        task.config.yolo_v1_loss.coord_scale = coord_scale
        mapped = jax.vmap(lambda *arrays: task.loss(*arrays)[1][0], (0, 0, 0, None), axis_name=training.step.AXIS)
        compiled = jax.jit(mapped)
        return lambda step: jax.tree.map(float, jax.tree.map(np.squeeze, compiled(params, batch_stats, batch, step)))

    light = forward(5.0)
    once, again = light(0), light(1)
    assert once["loss"] != again["loss"]
    assert forward(10.0)(0)["loss_xy"] == pytest.approx(2 * once["loss_xy"], rel=1e-4)
