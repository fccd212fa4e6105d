"""Versions of a file that one process publishes and others follow: numbered files and latest.json.

latest.json names the newest version, its file and the file's SHA-256 digest. Latest wins: a follower may miss
versions in between.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from prefrl.storage.durable import (
    file_digest,
    make_folder,
    read_json,
    remove_leftovers,
    write_file,
    write_json_atomic,
)
from prefrl.storage.errors import RunDirError
from prefrl.storage.pointers import resolve_inside

__all__ = ["latest_version", "publish_version"]

LATEST = "latest.json"
DIGEST_DIGITS = 64
WAY_OUT = "delete it to publish anew"


class _Latest(NamedTuple):
    version: int
    file: object
    """not checked yet: see `resolve_inside`"""
    digest: str


def publish_version(folder: Path, version: int, write: Callable[[Path], None], keep: int = 5) -> Path:
    """Publish a version of a file: readers follow latest.json, which changes once the file is on disk.

    Args:
        folder: made when missing; one process publishes to it.
        version: greater than any published before, at least 0.
        write: writes the content to the path it is given.
        keep: newest versions kept, at least 1; older ones are deleted.

    Returns:
        The file, ``folder/000042.safetensors`` for version 42.

    Raises:
        RunDirError: when the version is not newer than the latest, or the folder cannot be written.
    """
    latest = _latest(folder)
    if latest is not None and version <= latest.version:
        # replacing the file that latest.json vouches for could leave the two apart after a crash
        raise RunDirError(
            f"{folder}: version {version} is not newer than version {latest.version}, the latest"
        )
    path = folder / f"{version:06d}.safetensors"
    try:
        make_folder(folder)
        remove_leftovers(folder)
        digest = write_file(path, write)
        write_json_atomic(folder / LATEST, {"version": version, "file": path.name, "sha256": digest})
        for old in sorted(folder.glob("[0-9]*.safetensors"), key=lambda old: int(old.stem))[: -max(1, keep)]:
            old.unlink()
    except OSError as error:
        raise RunDirError(f"{path} cannot be published ({error.strerror})") from error
    return path


def latest_version(folder: Path, newer_than: int = -1) -> tuple[int, Path] | None:
    """The latest published version and its file, its digest checked; None before the first.

    Args:
        folder: as given to `publish_version`, which may be deleting old versions meanwhile.
        newer_than: None also unless there is a version above this one; makes polling cheap.

    Raises:
        RunDirError: when the file is missing, lies outside the folder, or is not what was published.
    """
    tried = None
    while (latest := _latest(folder)) is not None and latest.version > newer_than:
        way_out = f"delete {resolve_inside(folder, LATEST)} to publish anew"
        path = resolve_inside(folder, latest.file, way_out)
        try:
            if file_digest(path) == latest.digest:
                return latest.version, path
            problem = "is not what was published (cut short or changed)"
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        # A version is deleted only after a newer one was announced: unless that happened, do not look again.
        if latest == tried:
            raise RunDirError(
                f"{path} {problem}; delete {folder / LATEST}, and the reward is trained and published anew"
            )
        tried = latest
    return None


def _latest(folder: Path) -> _Latest | None:
    path = folder / LATEST
    if not path.exists():
        return None
    latest = read_json(path, WAY_OUT)
    if set(latest) != {"version", "file", "sha256"}:
        raise RunDirError(f"{path} does not name a version, file and sha256; {WAY_OUT}")
    version, digest = latest["version"], latest["sha256"]
    if type(version) is not int or version < 0:
        raise RunDirError(f"{path}: version is {version!r}, a whole number from 0 is needed; {WAY_OUT}")
    if not isinstance(digest, str) or len(digest) != DIGEST_DIGITS:
        raise RunDirError(f"{path}: sha256 is {digest!r}, {DIGEST_DIGITS} digits are needed; {WAY_OUT}")
    return _Latest(version, latest["file"], digest)
