"""metrics.jsonl: one JSON object a line, appended by several processes at once.

Metrics are not flushed to disk: a power cut may lose the newest lines. A line that a power cut or a full disk
cut short is skipped when read, and costs no other line.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefrl.storage.errors import RunDirError

__all__ = ["append_metrics", "read_metrics"]


def append_metrics(path: Path, record: Mapping[str, float | int | str]) -> None:
    """Append one JSON line; several processes may do so at once. Numbers that are not finite become null.

    Raises:
        RunDirError: when the line cannot be written whole.
    """
    plain = {name: value if _is_finite(value) else None for name, value in record.items()}
    line = (json.dumps(plain) + "\n").encode()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written, expected = _append_line(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RunDirError(f"{path} cannot be written ({error.strerror})") from error
    if written < expected:
        raise RunDirError(f"{path}: the disk took {written} of {expected} bytes; free some space")


def _append_line(descriptor: int, line: bytes) -> tuple[int, int]:
    """Append ``line`` so that it begins a line; returns the bytes written and the bytes wanted."""
    if not _ends_line(descriptor, os.fstat(descriptor).st_size):
        line = b"\n" + line
    # One write to a file opened for appending: the system puts processes' lines after, never into, each other.
    written = os.write(descriptor, line)
    start = os.lseek(descriptor, 0, os.SEEK_CUR) - written
    if written == len(line) and not (line.startswith(b"\n") or _ends_line(descriptor, start)):
        # Another process's line was cut short between our look and our write: ours is spoilt, so repeat it.
        line = b"\n" + line
        written = os.write(descriptor, line)
    return written, len(line)


def _ends_line(descriptor: int, size: int) -> bool:
    """Whether the first ``size`` bytes of the file are whole lines; an empty file is."""
    return size <= 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def read_metrics(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Records appended since ``offset`` bytes, and the offset to continue from.

    A last line without its end is left for the next call; a line that is no JSON object is skipped.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            whole = file.read()
    except FileNotFoundError:
        return [], offset
    whole = whole[: whole.rfind(b"\n") + 1]
    records = (_parsed(line) for line in whole.split(b"\n"))
    return [record for record in records if record is not None], offset + len(whole)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _is_finite(value: float | int | str) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
