"""A command's ``--out`` folder, checked before any work starts."""

from __future__ import annotations

from pathlib import Path

from prefrl.storage.durable import durable_folder

__all__ = ["check_new_folder"]


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
        with durable_folder(out):
            pass
        if not was_there:
            out.rmdir()
    except OSError as error:
        raise ValueError(
            f"--out is {out}, which cannot be written ({error.strerror}); choose another folder"
        ) from error
