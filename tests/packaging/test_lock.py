"""The lock file that the Makefile installs from."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.packaging.compare_versions import differences, locked_versions


@pytest.fixture(scope="module")
def lock(checkout: Path) -> str:
    return (checkout / "requirements.lock").read_text()


def test_the_lock_holds_a_version_of_every_dependency_that_pyproject_allows(lock: str) -> None:
    locked = locked_versions(lock)
    # Those of another extra, and torch, which TORCH chooses, come by themselves.
    declared = [Requirement(line) for line in importlib.metadata.requires("prefrl") or []]
    wanted = [each for each in declared if each.name not in ("prefrl", "torch")]
    assert len(wanted) > 20
    for each in wanted:
        assert each.specifier.contains(locked[each.name.lower()]), f"{each}; run `make lock`"


def test_the_lock_leaves_torch_to_the_machine(lock: str) -> None:
    names = re.findall(r"^[a-z0-9-]+", lock, re.MULTILINE)
    assert [name for name in names if name.startswith(("torch", "nvidia", "cuda", "triton"))] == []


def test_the_lock_names_no_place(lock: str) -> None:
    assert not re.search(r"https?:|file:|--index|--find-links|@", lock)


def test_a_lock_is_read_for_the_python_that_runs() -> None:
    lock = "# made\nold==1.0 ; python_full_version < '3.0'\nnew==2.0 ; python_full_version >= '3.0'\nany==3\n"
    assert locked_versions(lock) == {"new": "2.0", "any": "3"}


def test_versions_that_differ_are_listed_by_name() -> None:
    found = differences(
        {"same": "1", "newer": "1", "gone": "1"}, {"same": "1", "newer": "2", "extra": "3", "torch": "4"}
    )
    assert found == [
        "extra: not locked, 3 installed",
        "gone: 1 locked, not installed",
        "newer: 1 locked, 2 installed",
    ]
