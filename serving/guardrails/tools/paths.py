"""Whether a path is within a folder, told by its text alone. Pure."""

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}|%u[0-9A-Fa-f]{4}|%\w+%")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])([ .:].*)?", re.IGNORECASE)
_SHELL = "$`"  # a shell would put something else in their place


def is_inside(path: str, folder: str) -> bool:
    """False also for what another reader might understand otherwise: `..`, `~`, %2e, devices.

    A relative path counts from `folder`; of a relative `folder` it is a part. Where a link leads
    no text tells: who opens the path has to look.
    """
    is_windows = bool(_DRIVE.match(folder)) or "\\" in folder
    within = _is_inside_windows if is_windows else _is_inside_posix
    # Some file systems normalise names: what looks like two dots becomes them.
    pairs = {(path, folder), (_normal(path), _normal(folder))}
    return all(_is_plain(one) and within(one, root) for one, root in pairs)


def _normal(path: str) -> str:
    return unicodedata.normalize("NFKC", path)


def _is_plain(path: str) -> bool:
    return (
        bool(path.strip())
        and path.isprintable()
        and not path.startswith("~")
        and not any(mark in path for mark in _SHELL)
        and _ENCODED.search(path) is None
        and not any(_goes_up(segment) for segment in re.split(r"[\\/]", path))
    )


def _goes_up(segment: str) -> bool:
    """`..`, and what is `..` where dots and spaces at the end do not count."""
    return len(segment) > 1 and not segment.strip(" .")


def _is_inside_posix(path: str, folder: str) -> bool:
    if "\\" in path or path.startswith("//") or _SCHEME.match(path):
        return False
    whole, root = PurePosixPath(path), PurePosixPath(folder)
    if root.is_absolute() and not whole.is_absolute():
        whole = root / whole
    return whole.is_relative_to(root)


def _is_inside_windows(path: str, folder: str) -> bool:
    is_absolute = bool(_DRIVE.match(path)) or path.startswith(("\\\\", "//"))
    rest = path[2:] if is_absolute else path
    if ":" in rest or "~" in rest or (not is_absolute and rest.startswith(("\\", "/"))):
        return False  # another drive's folder, a stream of a file, a short name, a root
    if any(_DEVICE.fullmatch(segment) for segment in re.split(r"[\\/]", rest)):
        return False
    whole, root = PureWindowsPath(path), PureWindowsPath(folder)
    if root.is_absolute() and not whole.is_absolute():
        whole = root / whole
    return whole.is_relative_to(root)
