"""Pointers in a run directory: names, read from a file, of other entries of the same folder.

A run directory may come from somebody else. A pointer in it must not make us read what lies elsewhere.
"""

from __future__ import annotations

from pathlib import Path

from prefrl.storage.errors import RunDirError

__all__ = ["resolve_inside"]


def resolve_inside(folder: Path, name: object, way_out: str = "restore it from a copy") -> Path:
    """The path ``folder / name``, checked to lie inside ``folder``; it need not exist.

    ``folder`` itself may be a link. Check each file of a folder that is pointed to in the same way.

    Args:
        folder: where the pointer may lead.
        name: as read from the file, of any type.
        way_out: ends the message.

    Raises:
        RunDirError: when ``name`` is not a relative path, or leads out of the folder by ``..`` or by a link.
    """
    if not isinstance(name, str) or not name or any(sign in name for sign in "\0\\:"):
        raise RunDirError(f"{folder}: {name!r} is not the name of a file in it; {way_out}")
    relative = Path(name)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise RunDirError(f"{folder}: {name!r} is not a path inside it; {way_out}")
    path = folder / relative
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or a name the system refuses
        raise RunDirError(f"{folder}: {name!r} cannot be followed ({error}); {way_out}") from error
    if not inside:
        raise RunDirError(f"{path} is a link that leads out of {folder}; {way_out}")
    return path
