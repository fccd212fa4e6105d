"""Names read from a file never lead out of their folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.storage.errors import RunDirError
from prefrl.storage.pointers import resolve_inside

PARTS = st.sampled_from(
    ["a", "b", "..", ".", "", "out", "in", "loop", "up", "~", "C:", "a\\b", "\0", "x" * 300]
)
NAMES = st.lists(PARTS, max_size=5).map("/".join) | st.text(max_size=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links: to inside, to outside, to the folder above, and to itself."""
    root = tmp_path_factory.mktemp("pointers")
    folder = root / "run"
    (folder / "a" / "b").mkdir(parents=True)
    (root / "outside").mkdir()
    (folder / "out").symlink_to(root / "outside")
    (folder / "in").symlink_to(folder / "a")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "a" / "up").symlink_to("../..")
    return folder


@given(name=NAMES)
def test_what_is_accepted_lies_inside(folder: Path, name: str) -> None:
    try:
        path = resolve_inside(folder, name)
    except RunDirError:
        return
    assert os.path.commonpath([os.path.realpath(path), os.path.realpath(folder)]) == os.path.realpath(folder)
    assert path.relative_to(folder).parts


@pytest.mark.parametrize("name", ["a", "a/b", "a/./b", "new.json", "new/folder", "in/b", "..x", "x..", "~"])
def test_names_inside_are_accepted(folder: Path, name: str) -> None:
    assert resolve_inside(folder, name) == folder / name


NOT_INSIDE = ["", ".", "./", "..", "../run/a", "a/../b", "/", "/etc/passwd", "out", "out/x", "a/up", "loop/x"]
NOT_NAMES = ["a/\0", "..\\x", "C:x", "C:\\x", None, 3, True, ["a"], {"a": 1}, b"a"]


@pytest.mark.parametrize("name", [*NOT_INSIDE, *NOT_NAMES])
def test_other_names_are_refused_with_the_way_out(folder: Path, name: object) -> None:
    with pytest.raises(RunDirError, match=r"run.*; delete it"):
        resolve_inside(folder, name, "delete it")
