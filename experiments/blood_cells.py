from yolo9000_jax import config


def get_config(row=None):
    c = config.detection()
    c.steps = 2600
    c.batch_size = 8
    c.image_size = 416
    c.evaluate_every = 650
    c.checkpoint_every = 650
    c.data.source = "voc:../shared/data/blood_cells"
    c.data.split = "train"
    c.model.width = 0.25
    c.model.batch_norm_momentum = 0.98
    c.augment.jitter = 0.2
    c.augment.flip_vertical = 0.5
    c.augment.hue = 0.02
    c.augment.saturation = 1.3
    c.augment.exposure = 1.3
    c.optimizer.learning_rate = 5e-3
    c.optimizer.clip_norm = 10.0
    c.optimizer.schedule = "cosine"
    c.optimizer.burn_in = 100
    c.optimizer.burn_in_power = 1.0
    c.optimizer.average_decay = 0.995
    c.loss.warmup_images = 400
    c.evaluation.split = "val"
    return c
