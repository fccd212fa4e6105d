"""Checks a command's ``--out`` folder before any work starts."""

from __future__ import annotations

from pathlib import Path

from prefrl.storage.durable import durable_folder

__all__ = ["check_new_folder"]


def check_new_folder(out: Path) -> None:
    """Check that ``out`` is new or empty and can be written; missing parent folders are created.

    Raises:
        ValueError: when it already exists with content, or cannot be created.
    """
    try:
        was_there = out.exists()
        if was_there and (not out.is_dir() or any(out.iterdir())):
            raise ValueError(f"--out is {out}, which already exists; choose a new folder")
        with durable_folder(out):
            pass
        if not was_there:
            out.rmdir()
    except OSError as error:
        raise ValueError(
            f"--out is {out}, which cannot be written ({error.strerror}); choose another folder"
        ) from error
