"""The command line of a job: its arguments, and its result as the last line of standard output."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["job_parser", "print_result"]


def job_parser(documentation: str | None) -> argparse.ArgumentParser:
    """A parser with ``--seed``, described by the first paragraph of the job's docstring."""
    parser = argparse.ArgumentParser(description=(documentation or "").partition("\n\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    return parser


def print_result(result: Mapping[str, Any]) -> None:
    """Print what `last_json_line` reads."""
    print(json.dumps(result))
