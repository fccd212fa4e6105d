"""Copies metrics.jsonl to TensorBoard event files, without torch."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir

__all__ = ["TensorboardMirror", "count_events", "scalars"]

_SUFFIX = ".prefrl"
"""suffix of our files: others may write to the folder, too"""
_HEADER_BYTES, _CHECKSUM_BYTES = 12, 4


class TensorboardMirror:
    """Appends new metrics of a run to ``run.tensorboard``; the x axis is the policy's step.

    Each record becomes one event, so the number of events tells how far an earlier launch came. A resumed run neither
    repeats nor loses events.
    """

    def __init__(self, run: RunDir) -> None:
        self._metrics, self._folder = run.metrics, run.tensorboard
        self._offset = 0
        self._mirrored = sum(count_events(path) for path in self._folder.glob(f"*{_SUFFIX}"))
        self._writer: Any = None

    def update(self) -> None:
        """Copy the records appended since the last call.

        Raises:
            OSError: if the event file cannot be written.
        """
        records, self._offset = read_metrics(self._metrics, self._offset)
        new = records[self._mirrored :]
        self._mirrored -= len(records) - len(new)
        if new:
            self._write(new)

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, records: list[dict[str, Any]]) -> None:
        # TensorBoard is slow to import, and not needed until there is something to write.
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is None:
            self._writer = EventFileWriter(str(self._folder), filename_suffix=_SUFFIX)
        for record in records:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(record).items()]
            step = int(record.get("policy_step") or 0)
            self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        self._writer.flush()


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a metrics record by tag, "source/name". Strings and unknown (null) values are left out."""
    source = record.get("source", "run")
    return {
        f"{source}/{name}": float(value)
        for name, value in record.items()
        if isinstance(value, (int, float)) and name != "policy_step"
    }


def count_events(path: Path) -> int:
    """Number of events in an event file, without the first (the file version) and an incomplete last one.

    The file is a sequence of TFRecords: length (uint64, little-endian), its checksum (uint32), content,
    checksum of the content (uint32); see TensorFlow's "TFRecord and tf.train.Example" guide.
    """
    size, position, events = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while len(header := file.read(_HEADER_BYTES)) == _HEADER_BYTES:
            (length,) = struct.unpack("<Q", header[:8])
            position += _HEADER_BYTES + length + _CHECKSUM_BYTES
            if position > size:
                break
            file.seek(position)
            events += 1
    return max(0, events - 1)
