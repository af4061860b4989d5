"""Every key of an experiment with its meaning and default, and the recipes that experiments start from."""

from typing import Any

from ml_collections import ConfigDict

from yolo9000_jax.html import Html, card, folded, table


class Config(ConfigDict):
    """A ConfigDict that shows itself in a notebook: what differs from the defaults of `detection`, then every key."""

    def _repr_html_(self) -> Html:
        defaults, values = flat(detection()), flat(self)
        changed = {key: value for key, value in values.items() if key not in defaults or value != defaults[key]}
        every = folded(f"all {len(values)} keys", table((), list(values.items())))
        return card(f"config {self.get('name', '')}", changed, every)


def detection() -> Config:
    """Every key of an experiment, with the paper's recipe for detection as the default, but no length."""
    c = Config()
    c.name = "experiment"  # names the folder of a run that pre-trains for others
    c.task = "detection"  # "classification", "detection", or "joint" (paper, section 4)
    c.seed = 0
    c.steps = 0  # the run's length: one of these three is above 0; in updates of the weights,
    c.epochs = 0.0  # or in passes over the training pictures, of a joint experiment over those with boxes,
    c.minutes = 0.0  # or in minutes of training on the machine that it runs on, its pre-training not counted
    c.batch_size = 64  # images an update, over all devices and hosts
    # Parts of a batch that a device works on one after the other, Darknet's subdivisions: they take the memory of a
    # smaller batch and give the whole's gradients, but for batch norm, whose statistics are each part's own.
    c.accumulate = 1
    c.image_size = 416  # side of the network's input, a multiple of 32
    c.multi_scale = ()  # sizes to draw from, e.g. (320, 352, …, 608); empty: always image_size
    c.multi_scale_every = 10  # steps between two draws
    c.log_every = 20
    c.evaluate_every = 0.0  # steps; below 1, a share of the run; 0: only at the end
    c.checkpoint_every = 500
    c.profile_steps = ()  # the first and the last step to record with JAX's profiler, e.g. (100, 110); empty: none
    c.init_from = ""  # weights to start from: a workdir's, matched by name and shape, or darknet:FILE.weights
    # The experiment to train first and to start from; empty: none. On the command line --config.pretraining=none, or
    # NAME[:ROW] of another one, or FILE.py[:ROW].
    c.pretraining = Config()

    c.model = ConfigDict()
    # Of a detector: "yolo_v2", or "yolo_v1", which works at one input size. Of any network: "cfg", that of model.cfg.
    c.model.architecture = "yolo_v2"
    c.model.cfg = ""  # the text of a Darknet cfg, whose layers are trained; `yolo9000 train --cfg` fills it in
    c.model.trunk = "darknet19"  # or "extraction", YOLOv1's; or "tiny", Fast YOLO's (yolo_v1 only)
    c.model.use_batch_norm = True  # False: convolutions have biases instead
    c.model.box_parametrisation = "direct"  # "direct" location prediction, or "offset" as region proposal networks
    c.model.logits = "linear"  # end of extraction's classifier: "linear" (YOLOv1 paper) or "leaky" (Darknet)
    c.model.head = "connected"  # of yolo_v1: "connected" (paper), "local" (Darknet), "direct" (Darknet's tiny one)
    c.model.hidden = 0  # units, or filters, of that layer; 0: 4096, or 256, times width
    c.model.dropout = 0.5  # after that layer
    c.model.side = 7  # rows and columns of yolo_v1's grid
    c.model.boxes_per_cell = 2  # of yolo_v1
    c.model.width = 1.0  # multiplies the filters of every layer
    c.model.head_convolutions = True  # False: none after the trunk, nor the passthrough, as in Darknet's yolo9000.cfg
    # The fine 1/16 features on their way to the head: "paper", all 512 channels stacked to 2048; "darknet", a 1x1
    # convolution to 64 and Darknet's reorg, a sixth fewer operations in all; or "none".
    c.model.passthrough = "paper"
    c.model.head_init = "darknet"  # the last layer starts at random; "calm": with the priors and little objectness
    c.model.anchors_cells = ()  # priors (w, h) in cells of 32 pixels; empty: as model.priors says
    c.model.priors = "kmeans"  # on the training boxes; or "hand_picked", Faster R-CNN's nine
    c.model.num_anchors = 5  # how many, where k-means chooses them
    c.model.tree = ""  # the classes form a WordTree: FILE.tree, "emoji" or "flat" (see tasks.trees)
    c.model.batch_norm = "gpu"  # divides by sqrt(var + 1e-5), as Darknet on a GPU; "cpu": by sqrt(var) + 1e-6
    c.model.batch_norm_momentum = 0.99
    # A state that is judged gets batch norm's statistics anew: the mean of those of so many training batches at the
    # size that it is judged at; 0: it keeps the running ones, of the last sizes drawn, as in Darknet.
    c.model.batch_norm_batches = 0
    c.model.sync_batch_norm = False  # share batch statistics over devices
    c.model.sync_batch_norm_group = 0  # over so many neighbouring ones; 0: over all
    c.model.rematerialise = False  # True: less memory, as a step computes the trunk twice; the same numbers
    c.model.compute_dtype = "float32"  # or "bfloat16"

    c.data = ConfigDict()
    c.data.source = ""  # voc:DIR, coco:ANNOTATIONS.json,IMAGES_DIR, yolo:FILE, folders:DIR, … (data/sources.py)
    c.data.split = "train"  # of joined sources also one for each: "trainval+test,trainval"
    c.data.classes = ()  # class names in order, boxes of others are left out; empty: the source's own
    c.data.include_difficult = False  # train on boxes marked difficult (Darknet does not)
    c.data.map = ""  # FILE.map: the node of the tree that each label of the data stands for, a line each, as Darknet's
    c.data.max_boxes = 0  # boxes an image in a batch; 0: as many as the fullest picture has

    c.classification = ConfigDict()  # of a joint experiment: pictures with a label and no box
    c.classification.source = ""
    c.classification.split = "train"
    c.classification.classes = ()
    c.classification.ratio = 4.0  # at most so many of them to one with boxes, which are repeated for it (paper: 4)

    c.augment = ConfigDict()
    c.augment.geometry = "crop"  # "crop" (paper), "place" on grey (darknet.md 9), "rotate_crop" (classifiers), "none"
    c.augment.jitter = 0.2  # share of the picture's sides that crop or place may move
    c.augment.flip = 0.5  # probability of mirroring left and right
    c.augment.flip_vertical = 0.0  # probability of mirroring up and down, for pictures without an up
    c.augment.hue = 0.1
    c.augment.saturation = 1.5
    c.augment.exposure = 1.5
    c.augment.angle = 7.0  # of "rotate_crop": degrees to both sides; Darknet's numbers for 224 (darknet.md 11)
    c.augment.aspect = 0.75  # limit of the change of proportions, a factor
    # What min_crop and max_crop are, pixels that the picture's shorter side may be brought to before the crop:
    # "relative", of an input of 224, at others in proportion, and not less than the input; or "darknet", of any input.
    c.augment.crop = "relative"
    c.augment.min_crop = 128
    c.augment.max_crop = 448

    c.optimizer = ConfigDict()
    c.optimizer.learning_rate = 1e-3
    c.optimizer.learning_rate_scaling = "none"  # "linear": times batch_size / reference_batch_size
    c.optimizer.reference_batch_size = 64  # the batch size that learning_rate is meant for
    c.optimizer.momentum = 0.9
    c.optimizer.weight_decay = 5e-4
    c.optimizer.clip_norm = 0.0  # longest gradient; 0: any
    c.optimizer.schedule = "steps"  # "steps", "polynomial", "cosine", "exponential", "sigmoid", "constant"
    c.optimizer.boundaries = (0.375, 0.5625)  # of "steps": shares of the run (epochs 60 and 90 of 160)
    c.optimizer.factors = (0.1, 0.1)
    c.optimizer.power = 4.0  # of "polynomial"
    # Of "exponential": the rate is multiplied by decay_rate after every decay_steps steps. Of "sigmoid": it falls as
    # 1 / (1 + exp(decay_rate * (step - decay_steps))).
    c.optimizer.decay_rate = 1.0
    c.optimizer.decay_steps = 1
    c.optimizer.burn_in = 0  # steps over which the rate rises to learning_rate
    c.optimizer.burn_in_power = 4.0
    c.optimizer.average_decay = 0.0  # moving average of the weights for evaluation; 0: none

    c.loss = ConfigDict()  # of yolo_v2
    c.loss.coord_scale = 1.0
    c.loss.object_scale = 5.0
    c.loss.noobject_scale = 1.0
    c.loss.class_scale = 1.0
    c.loss.ignore_threshold = 0.6  # a box overlapping a truth by more is not pushed to "no object"
    c.loss.warmup_images = 12800  # images during which all boxes are pulled to their priors
    c.loss.rescore = True  # objectness learns the IoU rather than 1
    c.loss.bias_match = True  # the responsible prior is chosen by the priors' shapes, not the predictions'
    # Which box a picture without boxes trains: "paper", "darknet", "detection", "max_size" or "max_objectness", the
    # last two only among boxes of more objectness than class_box_floor (losses/class_box.py).
    c.loss.class_box = "paper"
    c.loss.class_box_floor = 0.1
    # "paper" pulls that box's objectness up to .3, "darknet" pushes all others to 0, "none" changes no objectness.
    c.loss.class_objectness = "paper"

    c.yolo_v1_loss = ConfigDict()
    c.yolo_v1_loss.coord_scale = 5.0
    c.yolo_v1_loss.object_scale = 1.0
    c.yolo_v1_loss.noobject_scale = 0.5
    c.yolo_v1_loss.class_scale = 1.0
    c.yolo_v1_loss.rescore = True  # objectness learns the IoU rather than 1
    c.yolo_v1_loss.forced = False  # True: box 1 of a cell is responsible for small truths, box 0 for the others

    c.evaluation = ConfigDict()
    c.evaluation.source = ""  # empty: as data.source
    c.evaluation.split = "val"  # also found as valid, validation, dev
    c.evaluation.classes = ()  # empty: as data.classes; with a tree, the source's own
    # True: judged on pictures that it learns from; naming data.source and data.split for both says so too.
    c.evaluation.may_share_pictures = False
    c.evaluation.image_size = 0  # 0: as image_size
    c.evaluation.checkpoint = "best"  # which state of a run others take, by `metric`; or "last", which chooses nothing
    c.evaluation.metric = ""  # the number that decides which checkpoint is the best; empty: voc_ap50, or top1
    c.evaluation.resize = "stretch"  # or "letterbox"; of detection: classifiers crop
    c.evaluation.sampling = "half_pixel"  # how that blends pixels: as in training; or "darknet" (darknet.md 1)
    c.evaluation.batch_size = 8  # images that a device works on at a time
    c.evaluation.score_threshold = 0.005
    c.evaluation.nms_threshold = 0.45
    c.evaluation.iou_rule = "voc"  # or "ilsvrc": also ilsvrc_ap, by ImageNet's smaller IoU for small boxes
    c.evaluation.hierarchy_rule = "conditional"  # what "sure enough" is in a tree; "darknet": darknet.md 7.3
    return c.lock()


def classification() -> Config:
    """Every key of a classification experiment, with the paper's recipe (section 3) as the default."""
    c = detection()
    c.task = "classification"
    c.batch_size = 128
    c.image_size = 224
    c.augment.geometry = "rotate_crop"
    c.augment.saturation = 0.75
    c.augment.exposure = 0.75
    c.optimizer.learning_rate = 0.1
    c.optimizer.reference_batch_size = 128
    c.optimizer.schedule = "polynomial"
    c.evaluation.batch_size = 32
    return c


def from_scratch() -> Config:
    """`detection` for little data and no pre-training: a narrow network, larger steps, an average of the weights.

    Made for a CPU and some minutes: our choice, measured on the demo and experiments/blood_cells.py, not the paper's.
    """
    c = detection()
    c.batch_size = 8
    c.log_every = 20
    c.model.width = 0.25
    c.model.passthrough = "darknet"
    c.model.head_init = "calm"
    c.model.batch_norm_momentum = 0.98
    c.optimizer.learning_rate = 5e-3
    c.optimizer.reference_batch_size = 8
    c.optimizer.clip_norm = 10.0
    c.optimizer.schedule = "cosine"
    c.optimizer.burn_in = 100
    c.optimizer.burn_in_power = 1.0
    c.optimizer.average_decay = 0.995
    c.loss.warmup_images = 400
    return c


def classifier_from_scratch() -> Config:
    """`classification` for little data: narrow and short, as `from_scratch`, for which it is the pre-training."""
    c = classification()
    c.batch_size = 32
    c.model.width = 0.25
    c.model.batch_norm_momentum = 0.98
    c.optimizer.learning_rate = 0.05
    c.optimizer.reference_batch_size = 32
    c.optimizer.clip_norm = 10.0
    c.optimizer.schedule = "cosine"
    c.optimizer.burn_in = 50
    c.optimizer.burn_in_power = 1.0
    return c


# What an experiment may start from.
RECIPES = (detection, classification, from_scratch, classifier_from_scratch)


def stages(config: ConfigDict) -> list[tuple[str, ConfigDict]]:
    """The experiment and its pre-training, the last one first, each with what stands before its keys' names.

    `[("", config), ("pretraining.", config.pretraining), …]`
    """
    found: list[tuple[str, ConfigDict]] = []
    prefix = ""
    while config:
        found.append((prefix, config))
        config, prefix = config.pretraining, prefix + "pretraining."
    return found


def without_stage(name: str) -> str:
    """The key's name in its own experiment: "pretraining.task" is the "task" of the one to train first."""
    return name.rpartition("pretraining.")[2]


def flat(config: ConfigDict, prefix: str = "") -> dict[str, Any]:
    """`{"a.b": value}` of every key, pre-training included."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
