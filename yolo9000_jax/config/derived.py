"""Numbers that follow from a config's keys."""

from fractions import Fraction

from ml_collections import ConfigDict

from yolo9000_jax.config.checks import METRICS


def steps_of(config: ConfigDict, pictures: int) -> int:
    """The run's length in steps, for one given in steps or epochs: whole steps only, the rest is left out; 1 at least.

    Args:
        config: complete and checked.
        pictures: how many pictures are drawn during one epoch, a pass over the training pictures: their number. Of a
            joint experiment those with boxes count, so: these and the labelled ones drawn in the meantime.

    Raises:
        ValueError: the length is given in minutes: how many steps these are the run finds out.
    """
    if config.steps:
        return config.steps
    if not config.epochs:
        raise ValueError("the length of this run is not given in steps or epochs")
    # As it was written: .3 as a float is a hair less than 3/10, and three tenths of 10 steps would be 2.
    epochs = Fraction(config.epochs).limit_denominator(1_000_000)
    return max(1, int(epochs * pictures / config.batch_size))


def learning_rate_of(config: ConfigDict) -> float:
    """The highest learning rate of the run: with linear scaling proportional to the batch size."""
    options = config.optimizer
    if options.learning_rate_scaling == "none":
        return options.learning_rate
    return options.learning_rate * config.batch_size / options.reference_batch_size


def metric_of(config: ConfigDict) -> str:
    """The name of the number that decides which checkpoint is the best; "last" where the last one is to be taken."""
    if config.evaluation.checkpoint == "last":
        return "last"
    return config.evaluation.metric or METRICS[config.task][0]
