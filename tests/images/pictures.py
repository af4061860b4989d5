"""Picture files of all kinds that cameras, editors and data sets write, made here."""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image

RNG = np.random.default_rng(5)


def picture(width: int, height: int) -> Image.Image:
    """Soft colours under noise: both the colour's resolution and the rounding of a decoder show."""
    cells = RNG.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
    soft = np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(soft + RNG.integers(-30, 30, soft.shape), 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    """The bytes of a picture file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(colour_type: int, bits: int, width: int = 9, height: int = 7, extra: bytes = b"") -> bytes:
    """A PNG of random samples, of a kind that Pillow cannot write."""
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type] * width * bits
    rows = RNG.integers(0, 256, (height, (samples + 7) // 8), np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + png_chunk(b"IDAT", zlib.compress(lines)) + png_chunk(b"IEND", b"")


def interlaced_png(channels: int, width: int = 21, height: int = 13) -> bytes:
    """An Adam7 PNG of random samples."""
    lines = b""
    passes = (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
    for x, y, step_x, step_y in passes:
        columns, rows = len(range(x, width, step_x)), len(range(y, height, step_y))
        lines += b"".join(b"\0" + RNG.integers(0, 256, columns * channels, np.uint8).tobytes() for _ in range(rows))
    kind = {1: 0, 3: 2, 4: 6}[channels]
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(lines)) + png_chunk(b"IEND", b"")


def other_sampling(jpeg: bytes, factors: int) -> bytes:
    """A JPEG whose header states other sampling factors of the brightness: still a valid file, of another picture."""
    place = jpeg.index(b"\xff\xc0") + 11
    return jpeg[:place] + bytes([factors]) + jpeg[place + 1 :]


def without_segment(jpeg: bytes, marker: int) -> bytes:
    """A JPEG without its first segment of this kind."""
    place = jpeg.index(bytes([0xFF, marker]))
    length = struct.unpack(">H", jpeg[place + 2 : place + 4])[0]
    return jpeg[:place] + jpeg[place + 2 + length :]


def with_transform(jpeg: bytes, transform: int) -> bytes:
    """A JPEG whose Adobe segment states another colour transform."""
    place = jpeg.index(b"Adobe") + 11
    return jpeg[:place] + bytes([transform]) + jpeg[place + 1 :]


def _jpegs() -> dict[str, bytes]:
    files = {}
    for width, height in (64, 48), (61, 43), (8, 8), (1, 1), (3, 1), (7, 130):
        image = picture(width, height)
        for subsampling in 0, 1, 2:
            for progressive in False, True:
                for quality in 30, 75, 100:
                    options = {"subsampling": subsampling, "progressive": progressive, "quality": quality}
                    name = f"{width}x{height} {' '.join(f'{key} {value}' for key, value in options.items())}.jpg"
                    files[name] = encoded(image, "JPEG", **options)
        for progressive in False, True:
            files[f"{width}x{height} grey {progressive}.jpg"] = encoded(
                image.convert("L"), "JPEG", progressive=progressive
            )
            files[f"{width}x{height} cmyk {progressive}.jpg"] = encoded(
                image.convert("CMYK"), "JPEG", progressive=progressive
            )
    square, wide = picture(128, 128), picture(64, 48)
    for name, subsampling, factors in (("440", 1, 0x12), ("411", 2, 0x41), ("4 high", 2, 0x14)):
        files[f"{name}.jpg"] = other_sampling(encoded(square, "JPEG", subsampling=subsampling), factors)
    files["rgb.jpg"] = encoded(wide, "JPEG", keep_rgb=True)
    files["rgb without Adobe.jpg"] = without_segment(files["rgb.jpg"], 0xEE)
    files["cmyk without Adobe.jpg"] = without_segment(files["64x48 cmyk False.jpg"], 0xEE)
    files["ycck.jpg"] = with_transform(files["64x48 cmyk False.jpg"], 2)
    files["without JFIF.jpg"] = without_segment(encoded(wide, "JPEG"), 0xE0)
    files["restarts.jpg"] = encoded(wide, "JPEG", restart_marker_rows=1)
    files["profile.jpg"] = encoded(wide, "JPEG", icc_profile=b"profile" * 20)
    files["several.jpg"] = encoded(wide, "MPO", save_all=True, append_images=[square])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    files["turned.jpg"] = encoded(wide, "JPEG", exif=exif)
    return files


def _pngs() -> dict[str, bytes]:
    image = picture(33, 21)
    alpha = image.convert("RGBA")
    alpha.putalpha(picture(33, 21).convert("L"))
    files = {f"{mode}.png": encoded(image.convert(mode), "PNG") for mode in ("RGB", "L", "LA", "P", "1")}
    files["RGBA.png"] = encoded(alpha, "PNG")
    for bits in 1, 2, 4:
        files[f"palette {bits}.png"] = encoded(image.quantize(2**bits), "PNG", bits=bits)
        files[f"grey {bits}.png"] = png(0, bits)
    files["palette, one clear.png"] = encoded(image.quantize(16), "PNG", transparency=3)
    files["palette, many clear.png"] = encoded(image.quantize(16), "PNG", transparency=bytes(range(0, 160, 10)))
    files["one colour clear.png"] = encoded(image, "PNG", transparency=(1, 2, 3))
    files["one grey clear.png"] = encoded(image.convert("L"), "PNG", transparency=5)
    for kind in 0, 2, 4, 6:
        files[f"16 bits {kind}.png"] = png(kind, 16)
    for gamma in 45455, 100000:
        files[f"gamma {gamma}.png"] = png(2, 8, extra=png_chunk(b"gAMA", struct.pack(">I", gamma)))
    files["significant bits.png"] = png(2, 8, extra=png_chunk(b"sBIT", b"\5\5\5"))
    files["background.png"] = png(6, 8, extra=png_chunk(b"bKGD", struct.pack(">HHH", 1, 2, 3)))
    for channels in 1, 3, 4:
        files[f"interlaced {channels}.png"] = interlaced_png(channels)
    files["moving.png"] = encoded(image, "PNG", save_all=True, append_images=[picture(33, 21)])
    return files


def _others() -> dict[str, bytes]:
    image = picture(33, 21)
    files = {f"{mode}.bmp": encoded(image.convert(mode), "BMP") for mode in ("RGB", "L", "P", "1")}
    files |= {f"{mode}.gif": encoded(image.convert(mode), "GIF") for mode in ("L", "P")}
    files |= {f"{mode}.tif": encoded(image.convert(mode), "TIFF") for mode in ("RGB", "L", "P", "1", "CMYK")}
    files["16 bits.tif"] = encoded(Image.fromarray(RNG.integers(0, 65536, (5, 6)).astype(np.uint16)), "TIFF")
    files |= {f"{mode}.webp": encoded(image.convert(mode), "WEBP") for mode in ("RGB", "RGBA")}
    files["moving.gif"] = encoded(image, "GIF", save_all=True, append_images=[picture(33, 21)])
    return files


@functools.cache
def encoded_pictures() -> dict[str, bytes]:
    """{file name: its bytes}: JPEG of all colour samplings, sequential and progressive, grey, CMYK; all PNG; others."""
    return _jpegs() | _pngs() | _others()
