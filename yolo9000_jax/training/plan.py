"""What a run will need, before it starts: whether it fits, how fast it can be at most, what it costs.

The step that training runs is compiled, for each of its input sizes, for devices that need not be here.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from yolo9000_jax import config as configs
from yolo9000_jax.data.sources import open_classes
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger
from yolo9000_jax.tasks import Task, make_task
from yolo9000_jax.training import chips, parallel
from yolo9000_jax.training.program import Program, compile_step, variable_shapes

# Public sets that need not be here to plan for them: {(source, split): (classes, pictures)}. The numbers of pictures
# are those that the sets' own papers or pages give; imagenet_9k's (experiments/yolo9000.py) is a guess.
PUBLIC = {
    ("tfds:voc/2007+voc/2012", "train+validation"): (20, 5011 + 11540),
    ("tfds:voc/2007+voc/2012", "train+validation+test,train+validation"): (20, 5011 + 4952 + 11540),
    ("tfds:coco/2017", "train"): (80, 118_287),
    ("tfds:imagenet2012", "train"): (1000, 1_281_167),
    ("folders:imagenet_9k", "train"): (9000, 10_000_000),
}
BLANK = "blank:"
MEASURED_BATCHES = 8
FORMULAS = {
    "pictures_per_s_chips": "batch_size / mean over the sizes of flops_per_step / (devices * peak flop/s in bfloat16): "
    "no chip reaches it",
    "pictures_per_s_memory": "batch_size / mean over the sizes of bytes_accessed / memory bytes/s: the compiler counts "
    "what stays on the chip too, so it may be beaten",
    "pictures_per_s_network": "batch_size / (2 * (devices - 1) / devices * all_reduce_bytes / interconnect bytes/s), "
    "as a ring sums over the devices",
    "pictures_per_s": "the least of the three, as if chips, memory and network worked at the same time",
    "hours": "steps * batch_size / pictures_per_s / 3600: steps alone, at that speed",
    "chip_hours": "hours * devices",
}


@dataclass(frozen=True)
class Plan:
    """What a config needs on so many devices.

    name: of the config. target: what it was planned for. hosts: that the devices belong to. parameters: numbers that
    training changes. steps: of the run; None where its length is given in minutes. pretraining: the
    experiment that is trained before it, which is not part of this plan. programs: one an input size, the
    largest first. compile_s: of all of them, here.
    input_per_s: pictures/s that one host's input was measured to give, here; None without data.
    chip: facts of the chip; None where nobody says. needs: what is wrong with the plan, and what would help.
    """

    name: str
    target: str
    devices: int
    hosts: int
    batch_size: int
    parameters: int
    steps: int | None
    pretraining: str
    programs: tuple[Program, ...]
    input_per_s: float | None
    chip: chips.Chip | None
    needs: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """{"programs": [one an input size], totals and estimates beside it}; how these come about is in "formulas"."""
        found = asdict(self) | self.estimates()
        found["chip"] = self.chip and self.chip._asdict()
        found["compile_s"] = round(sum(program.compile_s for program in self.programs), 1)
        return found | {"formulas": FORMULAS}

    def estimates(self) -> dict[str, float | None]:
        """Pictures/s and costs by the names of FORMULAS; None where the chip, or a program, is not known."""
        found: dict[str, float | None] = dict.fromkeys((*FORMULAS, "input_per_s_needed_a_host"))
        if self.chip is None or any(program.flops_per_step is None for program in self.programs):
            return found
        parts = {name: self.batch_size / seconds for name, seconds in self._seconds(self.chip).items() if seconds}
        step_s = self.batch_size / min(parts.values())
        found |= {f"pictures_per_s_{name}": rate for name, rate in parts.items()}
        found["pictures_per_s"] = self.batch_size / step_s
        found["input_per_s_needed_a_host"] = self.batch_size / step_s / self.hosts
        if self.steps is not None:
            hours = self.steps * step_s / 3600
            found |= {"hours": hours, "chip_hours": hours * self.devices}
        return found

    def _seconds(self, chip: chips.Chip) -> dict[str, float]:
        """Of a step of mean size: computing, reading and writing memory, summing over the network."""
        computing = [(program.flops_per_step or 0) / self.devices for program in self.programs]
        reading = [program.bytes_accessed or 0 for program in self.programs]
        sent = 2 * (self.devices - 1) / self.devices * max(program.all_reduce_bytes or 0 for program in self.programs)
        return {
            "chips": float(np.mean(computing)) / chip.flops_per_s,
            "memory": float(np.mean(reading)) / chip.memory_bytes_per_s,
            "network": sent / chip.interconnect_bytes_per_s,
        }


def plan(config: Any, topology: str = "", devices: int = 0) -> Plan:
    """Compiles what `config` trains, its pre-training left out, for a slice of TPUs or devices of the kind at hand.

    To be called before JAX is used: a process settles its devices once.

    Args:
        config: an experiment.
        topology: a slice of TPUs, such as "v5e:4x4", for which libtpu compiles here.
        devices: without one, how many of the kind at hand; 0: all there are.

    Raises:
        UserError: no such devices, a batch that does not divide among them, a config or data with a mistake.
    """
    config = configs.complete(config)
    configs.check(config)
    found = chips.topology_devices(topology) if topology else chips.devices_here(devices)
    jax.config.update("jax_enable_compilation_cache", False)  # how long compiling takes is part of the plan
    parallel.check_batch_size(config, len(found))
    chip = chips.CHIPS[topology.partition(":")[0]] if topology else None
    device_bytes = chip.memory_bytes if chip else chips.memory_of(found[0], len(found))
    task = make_task(without_missing_data(config))
    programs = []
    for size in task.sizes():
        target = topology or f"{len(found)} {found[0].platform} device(s)"
        logger.info(f"compiling {config.name} at {size}x{size} for {target}")
        programs.append(compile_step(task, size, found, device_bytes))
    return Plan(
        name=config.name,
        target=target,
        devices=len(found),
        hosts=len({device.process_index for device in found}),
        batch_size=config.batch_size,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(variable_shapes(task)["params"])),
        steps=None if config.minutes else configs.steps_of(config, task.pictures),
        pretraining=config.pretraining.name if config.pretraining else "",
        programs=tuple(programs),
        input_per_s=input_speed(task),
        chip=chip,
        needs=tuple(what_would_fit(config, programs)),
    )


def without_missing_data(config: Any) -> Any:
    """The config with blank pictures in place of public sets that are not here: a step's program is the same."""
    changes: dict[str, Any] = {}
    for group in ("data", "classification") if config.task == "joint" else ("data",):
        given = config[group]
        known = PUBLIC.get((given.source, given.split))
        if known is None or _is_here(given.source):
            continue
        classes, pictures = known
        logger.info(f"{given.source} is not here: planned for its {classes} classes and {pictures} pictures")
        what = config.model.tree if config.model.tree.endswith(".tree") else classes
        labels = ",labels" if group == "classification" or config.task == "classification" else ""
        changes |= {f"{group}.source": f"{BLANK}{what},{pictures}{labels}", f"{group}.classes": ()}
    if "data.source" not in changes:
        return configs.override(config, changes) if changes else config
    changes |= {"evaluation.source": changes["data.source"], "evaluation.classes": ()}
    changes["evaluation.may_share_pictures"] = True
    if config.model.priors == "kmeans" and not config.model.anchors_cells:
        changes["model.anchors_cells"] = ((1.0, 1.0),) * config.model.num_anchors
    return configs.override(config, changes)


def _is_here(source: str) -> bool:
    try:
        open_classes(source)
    except UserError:
        return False
    return True


def input_speed(task: Task) -> float | None:
    """Pictures/s that this host's input gives, at the sizes of the first batches; None of blank pictures."""
    if task.dataset.spec.startswith(BLANK):
        return None
    count, started = 0, 0.0
    for place, batch in enumerate(task.batches(0, MEASURED_BATCHES + 2)):
        if place == 2:  # before, threads start and buffers fill
            started = time.perf_counter()
        count += len(batch["images"]) if place >= 2 else 0
    return count / (time.perf_counter() - started)


def what_would_fit(config: Any, programs: Sequence[Program]) -> list[str]:
    """Of the programs that a device's memory is too small for: what they need, and what would help, the least first."""
    large = [program for program in programs if program.fits is False]
    if not large:
        return []
    worst = max(large, key=lambda program: program.peak_bytes)
    there = worst.device_bytes or 0
    found = [
        f"{worst.size}x{worst.size} needs {worst.peak_bytes / chips.GIB:.2f} GiB a device, which has "
        f"{there / chips.GIB:.2f}"
    ]
    if config.model.compute_dtype == "float32":
        found.append("--config.model.compute_dtype=bfloat16 halves most of what lies between the layers")
    share = config.batch_size // worst.devices
    at_once = share // config.accumulate
    if fitting := _largest_share(worst, at_once, there):
        if not config.model.rematerialise:
            found.append("--config.model.rematerialise=True keeps less of the trunk, and computes it twice")
        parts = next(parts for parts in range(1, share + 1) if share % parts == 0 and share // parts <= fitting)
        found.append(
            f"--config.accumulate={parts} works on {share // parts} pictures a device at a time instead of {at_once}, "
            "for the same batch but for batch norm"
        )
        left = fitting * config.accumulate
        found.append(f"--config.batch_size={left * worst.devices} leaves {left} pictures a device instead of {share}")
        found.append(f"about {worst.devices * -(-at_once // fitting)} devices, for the same batch")
    if smaller := [program.size for program in programs if program.fits]:
        found.append(f"--config.multi_scale='{tuple(sorted(smaller))}' leaves the sizes that fit")
    return found


def _largest_share(program: Program, share: int, there: int) -> int:
    """Pictures that a device could work on at a time, about: what lies beside the arguments grows with them."""
    fixed = program.argument_bytes or 0
    return int(share * max(0, there - fixed) / max(1, program.peak_bytes - fixed))
