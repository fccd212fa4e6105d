"""Records as the harness writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.harness import Record


@pytest.fixture
def finished() -> Callable[..., Record]:
    """Makes the record of a successful job from suite, job, seed, metrics and other fields."""

    def make(suite: str, job: str, seed: int, metrics: dict[str, Any], **others: Any) -> Record:
        known: dict[str, Any] = {
            "command": "",
            "env": {},
            "config": {},
            "config_hash": "",
            "ok": True,
            "curve": (),
            "error": None,
            "wall_s": 1.0,
            "started": "2026-01-02T03:04:05+00:00",
            "versions": {},
            "machine": {"cpu": "abacus", "cores": 2, "memory_gib": 1.0},
            "git_commit": None,
        }
        return Record(suite=suite, job=job, seed=seed, metrics=metrics, **(known | others))

    return make
