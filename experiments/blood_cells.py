from yolo9000_jax import config


def get_config(row=None):
    c = config.detection()
    c.data.source = "voc:../shared/data/blood_cells"
    c.steps = 60
    c.batch_size = 8
    c.image_size = 320
    c.model.width = 0.25
    c.optimizer.burn_in = 20
    c.loss.warmup_images = 800
    return c
