"""Reading videos frame by frame, through PyAV (FFmpeg), from files, cameras and addresses."""

import http.client
import os
import sys
import threading
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
from PIL import Image

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import START_BYTES, shown, stand_in

try:
    import av
    from av.sidedata.sidedata import Type as SideData
except ImportError:  # 107 MB that pictures do without
    av = None  # type: ignore[assignment]

VIDEO_EXTENSIONS = (  # of video files, in lower case: what FFmpeg reads
    ".mp4", ".m4v", ".mov", ".qt", ".avi", ".divx", ".mkv", ".webm", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2",
    ".3gpp", ".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".mpv", ".vob", ".ts", ".mts", ".m2ts", ".m2t", ".tp", ".ogv",
    ".ogm", ".rm", ".rmvb", ".mxf", ".dv", ".dav", ".nut", ".ivf", ".y4m", ".mjpeg", ".mjpg", ".h264", ".264", ".h265",
    ".265", ".hevc", ".amv", ".wtv",
)  # fmt: skip
STREAM_EXTENSIONS = (*VIDEO_EXTENSIONS, ".m3u8", ".mpd")  # what an address of a video ends in
STREAM_TYPES = ("video/", "multipart/x-mixed-replace", "application/vnd.apple.mpegurl", "application/x-mpegurl")
MOTION_JPEG = (".mjpeg", ".mjpg")  # pictures one behind the other: each begins as one does
NO_VIDEO = ("image2", "gif", "apng", "tty", "concat", "hls", "dash")  # FFmpeg's names of what is taken for no video
NO_DAMAGE = ("mmco:", "co located POCs unavailable", "number of reference frames")  # errors in FFmpeg's log
WAIT_SECONDS = 10.0  # for a camera or an address to answer, and then for each frame
FAILURES = (
    (av.FFmpegError, ValueError) if av else ()
)  # ValueError: a name with a zero byte, a format that this FFmpeg lacks
USUAL_RATE = Fraction(25)  # frames a second where nothing says
MOST_FAILURES = 10_000  # in a row, of reading on in a damaged file


class Frame(NamedTuple):
    """A frame of a video: uint8 [H, W, 3] as a player shows it, when it begins, and for how long; 0: not known.

    number: its place among the frames of the video, from 0.
    """

    pixels: np.ndarray
    seconds: Fraction
    duration: Fraction
    number: int


class Video:
    """A video that `open_video` has opened; to be used with `with`.

    Attributes:
        live: whether its frames come at their own pace and nobody says how many: from a camera, or an address that is
            not that of a file.
        rate: frames a second, as the source has it.
        pixel_aspect: width of a pixel divided by its height, as it is shown.
        fault: when its frames have been read: what was lost, or None.
    """

    def __init__(self, container: Any, stream: Any, name: str, live: bool):
        self._container, self._stream, self._name, self.live = container, stream, name, live
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        self.rate = _usual(Fraction(next((rate for rate in rates if rate), USUAL_RATE)))
        self.pixel_aspect = Fraction(stream.sample_aspect_ratio or 1)
        self.fault: str | None = None
        self._undecodable = self._damaged = self._unreadable = 0
        self._broken_off = ""

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._container.close()

    def frames(self) -> Iterator[Frame]:
        """The frames, one after the other; what cannot be decoded is left out, and told of in `fault`.

        Raises:
            UserError: there is not one.
        """
        tick = self._stream.time_base or Fraction(1, 1000)
        first: Fraction | None = None
        seconds = longest = duration = Fraction(0)
        end = Fraction(0)
        for number, frame in enumerate(self._decoded()):
            duration = frame.duration * tick if frame.duration else Fraction(0)
            if first is None:
                first = Fraction(0) if frame.pts is None else frame.pts * tick
            else:
                given = None if frame.pts is None else frame.pts * tick - first
                step = 1 / self.rate
                if given is not None and given > seconds:
                    on_time = self._on_time(given, tick)
                    step = (on_time if on_time > seconds else given) - seconds
                elif given is not None:  # the clock was set back
                    first -= seconds + step - given
                seconds, longest = seconds + step, max(longest, step)
            end = seconds + max(duration, 1 / self.rate)
            yield Frame(self._upright(frame), seconds, duration, number)
        if first is None:
            reason = f" ({self._broken_off})" if self._broken_off else ""
            raise UserError(f"{self._name}: holds no frame that can be decoded{reason}; fetch or convert it again")
        self.fault = self._what_was_lost(end, end + max(first, Fraction(0)), max(longest, 2 / self.rate))

    def _on_time(self, seconds: Fraction, tick: Fraction) -> Fraction:
        """A time in whole ticks as the multiple of a frame's length for which it stands, if it stands for one."""
        exact = round(seconds * self.rate) / self.rate
        return exact if abs(exact - seconds) <= tick else seconds

    def _decoded(self) -> Iterator[Any]:
        begun = False
        for packet in self._packets():
            try:
                with _errors() as errors:  # the last, empty packet is of no stream
                    frames = packet.decode() if packet.stream else self._stream.decode(None)
            except av.error.EOFError:
                continue
            except av.FFmpegError as error:
                self._undecodable += begun  # a recording may begin between two whole pictures
                self._broken_off = self._broken_off or reason_of(error)
                continue
            damaged = errors or packet.is_corrupt or any(frame.is_corrupt for frame in frames)
            if begun and damaged:  # a decoder makes up what is missing, and only logs it
                self._damaged += max(len(frames), 1)
            begun = begun or bool(frames)
            yield from frames

    def _packets(self) -> Iterator[Any]:
        """The packets of the stream, an empty one last; reading goes on behind what cannot be read."""
        failures = 0
        while failures < MOST_FAILURES:
            packets = self._container.demux(self._stream)
            try:
                while True:
                    with _errors() as errors:
                        packet = next(packets, None)
                    self._unreadable += bool(errors)  # what is skipped is only logged
                    if packet is None:
                        break
                    failures = 0
                    yield packet
                return
            except av.error.InvalidDataError:
                failures += 1
                self._undecodable += 1
            except (av.FFmpegError, OSError) as error:
                self._broken_off = reason_of(error)
                break
        yield av.Packet()

    def _what_was_lost(self, length: Fraction, end: Fraction, tolerance: Fraction) -> str | None:
        """The fault of a video of which `length` seconds have come, up to `end` on its own clock."""
        faults = []
        if self._undecodable:
            faults.append(f"{_count(self._undecodable, 'packet')} could not be decoded")
        if self._damaged:
            faults.append(f"{_count(self._damaged, 'frame')} came out damaged")
        if self._unreadable:
            faults.append(f"{_count(self._unreadable, 'part')} of it could not be read")
        announced = None if self.live else _announced_seconds(self._container, self._stream)
        if announced is not None and max(length, end) + tolerance < announced:
            faults.append(f"it ends after {float(length):.2f} of {float(announced):.2f} s")
        elif self._broken_off and not self._undecodable and self.live:
            faults.append(f"it broke off after {float(length):.2f} s ({self._broken_off})")
        return f"the video is damaged: {', '.join(faults)}" if faults else None

    def _upright(self, frame: Any) -> np.ndarray:
        """The pixels, turned and mirrored as the display matrix asks for, by quarters."""
        pixels = frame.to_ndarray(format="rgb24")
        matrix = frame.side_data.get(SideData.DISPLAYMATRIX)
        if matrix is None:
            return pixels
        # A pixel in column p and row q is shown in column a p + c q and row b p + d q, but for where that begins.
        a, b, _, c, d = (int(number) for number in np.frombuffer(bytes(matrix), np.int32)[:5])
        if abs(b) + abs(c) > abs(a) + abs(d):
            pixels, a, d = pixels.swapaxes(0, 1), c, b
        return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def newest(frames: Iterator[Frame]) -> Generator[Frame, None, None]:
    """Always the newest of frames that come at their own pace: those that a caller is too slow for are passed over.

    The frames are taken in a thread, which has ended when this has; it is to be closed before their video is. The last
    frame, and what goes wrong behind it, always come.
    """
    changed = threading.Condition()
    waiting: list[Frame] = []
    errors: list[BaseException] = []
    ended = threading.Event()  # of the frames, or of those who want them

    def watch() -> None:
        try:
            for frame in frames:
                with changed:
                    if ended.is_set():
                        return
                    waiting[:] = [frame]
                    changed.notify()
        except BaseException as error:
            errors.append(error)
        finally:
            with changed:
                ended.set()
                changed.notify()

    thread = threading.Thread(target=watch, name="newest frame", daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: waiting or ended.is_set())
                frame = waiting.pop() if waiting else None
            if frame is None:
                break
            yield frame
        if errors:
            raise errors[0]
    finally:
        ended.set()
        thread.join()


def open_video(source: str | Path) -> Video:
    """Opens a video to read its frames.

    Args:
        source: a file; an address (rtsp://…, http://…); or the number of a camera, "0" for the first.

    Raises:
        UserError: there is no such file or camera, it is no video that can be decoded, nothing answers within
            `WAIT_SECONDS`, or PyAV is not installed.
    """
    name = shown(source)
    if av is None:
        raise UserError(f"{name}: videos are read with PyAV: pip install 'yolo9000_jax[video]'")
    if is_camera(source):
        return _open_camera(str(source))
    if is_address(source):
        options = {"rtsp_flags": "prefer_tcp"} if name.lower().startswith("rtsp") else {}
        try:
            return _open(str(source), name, live=True, options=options, timeout=WAIT_SECONDS)
        except FAILURES as error:
            advice = "check the address, and that it is one of a video"
            raise UserError(f"{name}: cannot be opened ({reason_of(error)}); {advice}") from None
    try:  # "file:" as a name may hold a colon; no other protocol, so that a file cannot make us fetch others
        return _open(f"file:{source}", name, options={"protocol_whitelist": "file"})
    except FAILURES as error:
        if os.path.isfile(source) and not os.path.getsize(source):
            raise UserError(f"{name} is empty: fetch it again") from None
        with suppress(OSError, ValueError), open(source, "rb") as file:
            if what := stand_in(file.read(START_BYTES)):
                raise UserError(f"{name} is {what}") from None
        raise UserError(f"{name}: not a video that can be decoded ({reason_of(error)}); fetch or convert it") from None


def is_camera(source: Any) -> bool:
    """Whether a source is the number of a camera, and not the name of a file, or is a camera's device."""
    if isinstance(source, str) and source.isascii() and source.isdecimal():
        return not os.path.exists(source)
    return str(source).startswith("/dev/video") and Path(source).is_char_device()


def is_address(source: Any) -> bool:
    """Whether a source is an address: something://…"""
    return isinstance(source, str) and source.partition("://")[0].isalnum() and "://" in source


@lru_cache(maxsize=1024)
def is_video(source: str | Path) -> bool:
    """Whether what a user names is a video: by its ending, else by what a server, or the file itself, says.

    A file without an ending that is known is asked last: it is one only if FFmpeg reads it as a video.
    """
    if is_address(source):
        text = str(source)
        path = text.partition("://")[2].partition("?")[0].partition("#")[0]
        ending = PurePosixPath(unquote(path)).suffix.lower() if "/" in path else ""
        if not text.lower().startswith(("http://", "https://")) or ending in STREAM_EXTENSIONS:
            return True
        return not Image.registered_extensions().get(ending) and _content_type(text).startswith(STREAM_TYPES)
    if is_camera(source):
        return True
    ending = Path(source).suffix.lower()
    if ending in VIDEO_EXTENSIONS:
        return True
    if ending in Image.registered_extensions() or not os.path.isfile(source):
        return False
    try:
        Image.open(source).close()
        return False
    except Exception:  # Pillow raises nearly any type for what it does not know
        pass
    with suppress(UserError), open_video(Path(source)):
        return True
    return False


@contextmanager
def _errors() -> Iterator[list[str]]:
    """What FFmpeg logs as errors meanwhile, but for what whole videos also give rise to."""
    told: list[str] = []
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=False) as logs:
            yield told
        told += [text for _, _, text in logs if not text.startswith(NO_DAMAGE)]
    finally:
        av.logging.set_level(before[0])
        av.logging.set_skip_repeated(before[1])


def _open(name: str, told: str, live: bool = False, timeout: float | None = None, **options: Any) -> Video:
    container = av.open(name, metadata_errors="replace", timeout=timeout, **options)
    try:
        kind = container.format.name
        if not live and (kind in NO_VIDEO or kind.endswith("_pipe")):
            raise UserError(f"{told}: not a video (FFmpeg calls it {kind}); give a video, a picture or a folder")
        covers = av.stream.Disposition.attached_pic  # of songs
        streams = [stream for stream in container.streams.video if not stream.disposition & covers]
        if not streams:
            raise UserError(f"{told}: not a video that can be decoded (it holds no moving pictures); give another file")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        context = stream.codec_context
        if context is None:
            raise UserError(f"{told}: not a video that can be decoded (FFmpeg lacks its codec); convert it")
        if Image.MAX_IMAGE_PIXELS and context.width * context.height > Image.MAX_IMAGE_PIXELS:
            limit = f"more than {Image.MAX_IMAGE_PIXELS} pixels, Pillow's limit"
            raise UserError(f"{told}: frames of {context.width}x{context.height} have {limit}; scale it down")
        return Video(container, stream, told, live and not _is_limited(container, stream))
    except BaseException:
        container.close()
        raise


def _is_limited(container: Any, stream: Any) -> bool:
    """Whether something says how long it is: the video, or the server of its file."""
    is_list = any(name in container.format.name for name in ("hls", "dash"))  # of which the size says nothing
    return bool(container.duration or stream.duration) or (not is_list and (container.size or 0) > 0)


def _open_camera(source: str) -> Video:
    device = f"/dev/video{source}" if source.isdecimal() else source
    if not sys.platform.startswith("linux"):
        raise UserError(f"{source}: cameras are read on Linux only; give a video file, or the camera's rtsp:// address")
    try:
        return _open(device, source, live=True, format="video4linux2", timeout=WAIT_SECONDS)
    except FAILURES as error:
        advice = "plug it in, or give a video file or an address (rtsp://…)"
        raise UserError(f"{source}: camera {device} cannot be opened ({reason_of(error)}); {advice}") from None


def _content_type(url: str) -> str:
    with suppress(OSError, ValueError, http.client.HTTPException):
        request = urllib.request.Request(url, headers={"User-Agent": "yolo9000_jax"})
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
            return answer.headers.get_content_type().lower()
    return ""


def _usual(rate: Fraction) -> Fraction:
    """The rate itself, or the whole one or NTSC's for which it stands: Matroska's 19001/317 for 60000/1001."""
    near = (Fraction(round(rate)), Fraction(round(rate * 1001 / 1000) * 1000, 1001))
    return next((usual for usual in near if abs(usual - rate) <= rate / 1_000_000), rate)


def _announced_seconds(container: Any, stream: Any) -> Fraction | None:
    """How long the file says that its video is; None where it does not."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    with suppress(ValueError, ZeroDivisionError):  # Matroska: "00:01:02.500000000"
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return (int(hours) * 60 + int(minutes)) * 60 + Fraction(seconds.strip())
    if container.duration and len(container.streams) == 1:
        return Fraction(container.duration, av.time_base)
    return None


def reason_of(error: Exception) -> str:
    """What FFmpeg says, in one line, without its number and the file's name."""
    if isinstance(error, av.error.ExitError):
        return f"no answer in {WAIT_SECONDS:g} s"
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
