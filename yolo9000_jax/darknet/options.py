"""The text of a Darknet .cfg file: its sections, and options read into typed dataclass fields (darknet.md 3)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn, get_args

from yolo9000_jax.errors import UserError

MAX_SIDE = 1 << 16  # of any width, height, number of filters, ...
MAX_BATCHES = 1 << 31

SHORT_NAMES = {
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
}

PATHS = ("tree", "map")  # options that name files, in which "#" and ";" may stand
_COMMENT = re.compile(r"\s([#;]|//).*|[#;].*")
_COMMENT_OF_PATH = re.compile(r"\s([#;]|//).*")

KINDS = {bool: "0 or 1 (a word is 0 to Darknet)", int: "a whole number", float: "a number"}
_RANGES = {bool: (-MAX_BATCHES, MAX_BATCHES), int: (0, MAX_SIDE), float: (-1e9, 1e9)}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?")


# What Darknet, AlexeyAB's and hank-ai's read for training alone, besides the options that `layers` describes.
TRAINING = frozenset(
    """
    adam adversarial_lr assisted_excitation attention augment_speed b1 b2 badlabels_reject_threshold
    badlabels_rejection_percentage batches_cycle_mult batches_per_cycle benchmark blur burnin_update center clip
    color_preset contrastive contrastive_color contrastive_jit_flip cutmix delta_normalizer delta_rolling_avg
    delta_rolling_max delta_rolling_std dont_update dynamic_minibatch ema_alpha eps equidistant_point flip focal_loss
    gaussian_noise grad_clip ignore_thresh init_sequential_subdivisions iou_loss iou_normalizer iou_thresh
    label_smooth_eps learning_rate_min loss_scale max_chart_loss max_delta max_ratio min_ratio mixup mosaic
    mosaic_bound notruth num_sigmas_reject_badlabels obj_normalizer cls_normalizer objectness_smooth onlyforward
    optimized_memory resize resize_step reweight seq_scales sequential_subdivisions sgdr_cycle sgdr_mult
    show_receptive_field time_steps track train train_only_bn truth_thresh try_fix_nan unsupervised
    uc_normalizer weights_reject_freq workspace_size_limit_mb
    """.split()
)


class Remarks:
    """What is to be said of a cfg: everything once, and of one kind all in one line.

    Attributes:
        others: lines of their own.
        training: options of training that are not used, or not understood, as "mosaic=1 (line 9)".
        tidied: numbers of the lines of which a part was left out.
    """

    def __init__(self, file: str):
        self.file = file
        self.others: list[str] = []
        self.training: list[str] = []
        self.tidied: list[int] = []

    def lines(self) -> tuple[str, ...]:
        """The remarks."""
        lines = [*self.others]
        if self.training:
            lines.append(f"{self.file}: options of training that are not used here: {_some(self.training)}")
        if self.tidied:
            what = "comments behind values, and commas behind lists, are left out"
            lines.append(f"{self.file}: {what}: line {_some(map(str, self.tidied))}")
        return tuple(lines)


def _some(items: Iterable[str], most: int = 20) -> str:
    listed = list(items)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


@dataclass(frozen=True)
class Section:
    """One section as written: long name of its type, options as text, and the line numbers of both."""

    file: str
    type: str
    line: int
    options: dict[str, str]
    option_lines: dict[str, int]

    def fail(self, problem: str, key: str | None = None) -> NoReturn:
        """Raise the UserError for `problem`, at the line of option `key` or of the section."""
        raise UserError(
            f"{self.file}, line {self.option_lines.get(key or '', self.line)}: [{self.type[:40]}] {problem}"
        )


def option(
    default: Any,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    training: bool = False,
) -> Any:
    """A dataclass field that is read from a cfg option.

    Args:
        default: the value without the option, or a function of the values read so far.
        low, high: allowed range; without them 0 to MAX_SIDE for a whole number, any sane one for a float.
        choices: the allowed words of a text option; empty for any.
        training: whether only training needs it: a value that cannot be read then is no mistake in the cfg.
    """
    return field(metadata={"default": default, "low": low, "high": high, "choices": choices, "training": training})


def read_sections(name: str, text: str, remarks: Remarks) -> list[Section]:
    """Split a cfg's text into sections; blanks count for nothing, and of a repeated option the first counts.

    Args:
        name: what messages call the text.
        remarks: gets repetitions that say something else, and what was left out.
    """
    sections: list[Section] = []
    for number, written in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = "".join(written.split())
        if not line or line[0] in "#;" or line.startswith("//"):
            continue
        comment = _COMMENT_OF_PATH if line.partition("=")[0] in PATHS else _COMMENT
        tidy = "".join(comment.sub("", written).split())
        if "=" in tidy:
            tidy = tidy.rstrip(",")
        if tidy != line:
            remarks.tidied.append(number)
        line = tidy
        if line[0] == "[":
            if line[-1] != "]":
                raise UserError(f"{name}, line {number}: {line[:40]!r} lacks its closing bracket")
            word = line[1:-1].lower()
            sections.append(Section(name, SHORT_NAMES.get(word, word), number, {}, {}))
            continue
        key, equals, value = line.partition("=")
        if not equals or not key:
            raise UserError(f"{name}, line {number}: {line[:40]!r} is neither [section] nor key=value")
        if not sections:
            raise UserError(f"{name}, line {number}: {key[:40]!r} stands before any section: start with [net]")
        section = sections[-1]
        if key in section.options:
            if section.options[key] != value:
                remarks.others.append(
                    f"{name}, line {number}: `{key[:40]}` is given twice in one section; the first counts"
                )
            continue
        section.options[key] = value
        section.option_lines[key] = number
    return sections


def _number(text: str, kind: type) -> float | int | None:
    """The number a text stands for, None if it stands for none. Stricter than Darknet, which takes '3x' for 3."""
    if not (_FLOAT if kind is float else _INTEGER).fullmatch(text):
        return None
    return kind(text)


def _read_option(section: Section, name: str, kind: Any, meta: Any) -> Any:
    """Value of the option `name` as its field's type `kind` says; checks the range."""
    text = section.options[name]
    if kind is str:
        if meta["choices"] and text not in meta["choices"]:
            section.fail(f"{name}={text[:40]!r} is not known here: use one of {', '.join(meta['choices'])}", name)
        return text
    item = get_args(kind)[0] if get_args(kind) else kind
    words = text.split(",") if get_args(kind) else [text]
    values = [_number(word, float if item is float else int) for word in words]
    low, high = (_RANGES[item][i] if meta[side] is None else meta[side] for i, side in enumerate(("low", "high")))
    for word, value in zip(words, values, strict=True):
        if value is None:
            section.fail(f"{name}: {word[:40]!r} is not {KINDS[item]}", name)
        if not low <= value <= high:
            section.fail(f"{name}={value} is out of range: {low} to {high}", name)
    return tuple(values) if get_args(kind) else item(values[0])


def read_options(section: Section, target: Any, remarks: Remarks) -> dict[str, Any]:
    """All options of a section as the fields of `target`.

    What is not known goes to `remarks`, as do those of training that cannot be read: they have their defaults, and are
    named in the field `unread`.
    """
    values: dict[str, Any] = {}
    unread = []
    for known in fields(target):
        meta = known.metadata
        if not meta:
            continue
        if known.name in section.options:
            try:
                values[known.name] = _read_option(section, known.name, known.type, meta)
                continue
            except UserError:
                if not meta["training"]:
                    raise
                unread.append(f"{known.name}={section.options[known.name][:40]}")
                _note_training(section, known.name, remarks)
        default = meta["default"]
        values[known.name] = default(values) if callable(default) else default
    for key, text in section.options.items():
        if key in target.refused and text != "0":
            section.fail(f"{key}={text[:40]} is not supported: remove it if the network does not depend on it", key)
        if key not in values and key not in target.unused + target.refused:
            if key.lower() in TRAINING:
                _note_training(section, key, remarks)
                continue
            line = section.option_lines[key]
            remarks.others.append(
                f"{section.file}, line {line}: [{section.type[:40]}] option `{key[:40]}` is not used here"
            )
    return values | ({"unread": tuple(unread)} if unread else {})


def _note_training(section: Section, key: str, remarks: Remarks) -> None:
    remarks.training.append(f"{key}={section.options[key][:40]} (line {section.option_lines[key]})")
