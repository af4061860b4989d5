"""Colour changes of a batch of pictures, on the device that trains."""

import jax
import jax.numpy as jnp


def rgb_to_hsv(images: jax.Array) -> jax.Array:
    """RGB [..., 3] in 0..1 -> hue, saturation, value in 0..1; a grey pixel has hue and saturation 0."""
    red, green, blue = images[..., 0], images[..., 1], images[..., 2]
    value = images.max(-1)
    chroma = value - images.min(-1)
    safe = jnp.where(chroma > 0, chroma, 1)
    sector = jnp.where(
        value == red,
        (green - blue) / safe,
        jnp.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = jnp.where(chroma > 0, jnp.mod(sector / 6, 1), 0)
    saturation = jnp.where(value > 0, chroma / jnp.where(value > 0, value, 1), 0)
    return jnp.stack([hue, saturation, value], -1)


def hsv_to_rgb(hsv: jax.Array) -> jax.Array:
    """Hue, saturation, value [..., 3] -> RGB [..., 3]; the inverse of `rgb_to_hsv`."""
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    channels = [jnp.clip(jnp.abs(jnp.mod(6 * hue + shift, 6) - 3) - 1, 0, 1) for shift in (0, 4, 2)]
    return jnp.stack([value * (1 - saturation * (1 - channel)) for channel in channels], -1)


def distort(images: jax.Array, hue: jax.Array, saturation: jax.Array, exposure: jax.Array) -> jax.Array:
    """Shifts hue and scales saturation and value, one amount an image, as Darknet does (darknet.md 9).

    images [B, H, W, 3] in 0..1; hue (added, in turns), saturation and exposure (factors) [B]. The hue wraps with mod 1.
    """
    hsv = rgb_to_hsv(images)
    hue, saturation, exposure = (amount[:, None, None] for amount in (hue, saturation, exposure))
    changed = [jnp.mod(hsv[..., 0] + hue, 1), hsv[..., 1] * saturation, hsv[..., 2] * exposure]
    return jnp.clip(hsv_to_rgb(jnp.stack(changed, -1)), 0, 1)
