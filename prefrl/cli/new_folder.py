"""Folders that a command makes: tried before its work, whole or not there after it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["check_new_folder", "new_folder"]


def check_new_folder(out: Path) -> None:
    """Refuse to write over anything, or where nothing can be written, before any work starts.

    Folders above that are missing are made.

    Raises:
        ValueError: when something is there already, or the folder cannot be made.
    """
    try:
        was_there = out.exists()
        if was_there and (not out.is_dir() or any(out.iterdir())):
            raise ValueError(f"--out is {out}, which is there already; choose a new folder")
        with new_folder(out):
            pass
        if not was_there:
            out.rmdir()
    except OSError as error:
        raise ValueError(
            f"--out is {out}, which cannot be written ({error.strerror}); choose another folder"
        ) from error


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, called ``out`` once that is done: whoever finds ``out`` finds all of it.

    Raises:
        OSError: when it cannot be made, or ``out`` is there and no empty folder.
    """
    # Resolved, as "." has no name, and a folder cannot take the place of a link to one.
    out = out.resolve()
    temporary = out.with_name(f".{os.getpid()}-{out.name}")
    # A process that was killed may have had the same number.
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
