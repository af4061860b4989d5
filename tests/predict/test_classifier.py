"""The classifier around a network that looks at the mean colour: rankings, batches, resizing."""

import flax.linen as nn
import numpy as np
import pytest

from yolo9000_jax.errors import UserError
from yolo9000_jax.predict.classifier import Classifier


class Colours(nn.Module):
    """Logits from the mean of each colour."""

    @nn.compact
    def __call__(self, images, train=False):
        return 20 * images.mean((1, 2))


NAMES = ("reds", "greens", "blues")


def picture(*rgb):
    return np.tile(np.uint8(rgb), (40, 50, 1))


def test_a_classifier_ranks_classes():
    classifier = Classifier(Colours(), {}, NAMES, (32, 32))
    ranking = classifier(picture(100, 200, 50), top=2)
    assert ranking.names == ("greens", "reds") and ranking.scores[0] > 0.99
    assert repr(ranking).startswith("<greens 1.000")
    assert list(ranking.to_json()["top"][0]) == ["class", "label", "score"]
    assert len(classifier(picture(0, 0, 0), top=9)) == 3
    several = list(classifier.stream([picture(255, 0, 0), picture(0, 0, 255), picture(0, 255, 0)], batch_size=2))
    assert [found.names[0] for found in several] == ["reds", "blues", "greens"]
    with pytest.raises(UserError, match="top 0"):
        classifier(picture(0, 0, 0), top=0)
    with pytest.raises(UserError, match="'crop' makes squares"):
        Classifier(Colours(), {}, NAMES, (64, 32))(picture(0, 0, 0))
    assert len(Classifier(Colours(), {}, NAMES, (64, 32), "letterbox")(picture(0, 0, 0))) == 3
    with pytest.raises(UserError, match="resize 'zoom'"):
        Classifier(Colours(), {}, NAMES, (32, 32), "zoom")
