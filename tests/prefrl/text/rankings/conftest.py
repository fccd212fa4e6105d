"""Small files of rows, and the real ones where this machine has them."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(os.environ.get("PREFRL_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture
def rows_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows as a file of the given name, laid out as the name says; returns its path."""

    def write(*rows: Any, name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        text = (
            json.dumps(rows) if ".json" in path.suffixes else "".join(f"{json.dumps(row)}\n" for row in rows)
        )
        data = text.encode()
        path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
        return path

    return write


@pytest.fixture
def real_file() -> Callable[[str], Path]:
    """The path of a file of real judgments; skips the test where it is absent."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{path} is not there")
        return path

    return find
