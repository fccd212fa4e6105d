"""Comparisons as plain files, for other programs and other runs: JSON lines and .npz, never pickle.

An exported folder holds `comparisons.jsonl`, one line for each comparison with its query, superseded ones
included; `segments-00000.npz` and so on (`prefrl.storage.shards`); and `about.json`. It is read by
`prefrl.storage.comparison_import`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prefrl.data.spaces import SpaceSpec
from prefrl.storage.comparison_lines import format_line
from prefrl.storage.database import Store
from prefrl.storage.durable import durable_folder
from prefrl.storage.errors import StoreError
from prefrl.storage.shards import ShardWriter

__all__ = ["ExportReport", "export_comparisons", "exported_specs", "read_about"]

FORMAT = "prefrl-comparisons"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote."""

    comparisons: int
    queries: int
    segments: int


def export_comparisons(store: Store, folder: Path, spaces: Mapping[str, Any] | None = None) -> ExportReport:
    """Write every comparison, with its query and segments, to a new folder, which appears once it is whole.

    A query that repeats one nobody answered is written as no repeat; unanswered queries are left out.

    Args:
        store: read in short transactions; a run may write to it meanwhile.
        folder: made when missing.
        spaces: descriptions of the observation and action space (`SpaceSpec.to_json`), kept in about.json.

    Raises:
        StoreError: when the folder is not empty or cannot be written.
    """
    comparisons = store.comparisons()
    queries = {
        number: store.query_record(number) for number in dict.fromkeys(c.query_id for c in comparisons)
    }
    segment_ids = dict.fromkeys(key for query in queries.values() for key in query.segment_ids)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise StoreError(f"{folder}: is not empty; export to a new folder")
        with durable_folder(folder) as making:
            lines = [format_line(comparison, queries) + "\n" for comparison in comparisons]
            (making / "comparisons.jsonl").write_text("".join(lines), encoding="utf-8")
            env_ids, shards = _write_segments(store, list(segment_ids), making)
            about = {"format": FORMAT, "version": FORMAT_VERSION, "env_ids": env_ids, "spaces": spaces}
            about |= {"comparisons": len(comparisons), "shards": shards}
            (making / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written ({error.strerror}); export to another folder"
        ) from error
    return ExportReport(len(comparisons), len(queries), len(segment_ids))


def _write_segments(store: Store, ids: list[str], folder: Path) -> tuple[list[str], int]:
    """Write the shards; returns the environments seen and the number of shards."""
    writer, env_ids = ShardWriter(folder), set()
    for key in ids:
        (segment,) = store.segments([key])
        env_ids.add(segment.provenance.env_id)
        writer.add(segment)
    writer.flush()
    return sorted(env_ids), writer.shards


def read_about(folder: Path) -> dict[str, Any]:
    """The content of an export's about.json; raises StoreError where there is no finished export."""
    path = folder / "about.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); a finished export has this file, give its folder"
        ) from error
    except ValueError as error:
        raise StoreError(f"{path}: is not JSON ({error}); export again") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise StoreError(f"{path}: does not describe a {FORMAT} export; give the folder of one")
    if about.get("version") != FORMAT_VERSION:
        raise StoreError(
            f"{path}: format version {about.get('version')}, this prefrl knows {FORMAT_VERSION}; "
            "import it with the prefrl that wrote it"
        )
    if not all(_is_count(about.get(name)) for name in ("comparisons", "shards")):
        raise StoreError(f"{path}: does not say how many comparisons and shards there are; export again")
    env_ids = about.get("env_ids")
    if not isinstance(env_ids, list) or not all(isinstance(env_id, str) for env_id in env_ids):
        raise StoreError(f"{path}: does not name the environments; export again")
    return about | {"spaces": about.get("spaces")}


def exported_specs(folder: Path) -> tuple[SpaceSpec, SpaceSpec]:
    """The observation and action specs an export was written with.

    Raises:
        StoreError: when it was written without, or they are damaged.
    """
    about = read_about(folder)
    try:
        specs = [SpaceSpec.from_json(about["spaces"][name]) for name in ("observation", "action")]
        for spec in specs:
            # What they say is relied on when segments are checked.
            if not all(type(size) is int for size in (*spec.shape, *spec.categories, *spec.starts)):
                raise ValueError(f"a shape or category of {spec} is no whole number")
            if spec.categories and not len(spec.categories) == len(spec.starts) == math.prod(spec.shape):
                raise ValueError(
                    f"{spec.categories} from {spec.starts} are not the categories of {spec.shape}"
                )
            np.dtype(spec.dtype)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise StoreError(
            f"{folder / 'about.json'}: does not describe the observation and action spaces; "
            "export again with `prefrl export RUN FOLDER`"
        ) from error
    return specs[0], specs[1]


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
