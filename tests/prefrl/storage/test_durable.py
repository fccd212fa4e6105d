"""Durable files and folders: the order of their writes, and what a crash at each step leaves."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from prefrl.storage import durable
from prefrl.storage.durable import (
    durable_folder,
    file_digest,
    make_folder,
    read_json,
    remove_leftovers,
    write_bytes,
    write_file,
    write_json_atomic,
    write_text,
)
from prefrl.storage.errors import RunDirError

STEPS = ("flush file", "rename", "flush folder")


class Killed(BaseException):
    """Stands for a kill: nothing may rely on seeing it."""


class Disk:
    """Records fsync and rename, and can fail at the one with a given number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.calls: list[tuple[str, str]] = []
        self.fail_at: int | None = None
        self.error: BaseException = Killed()
        self._root, self._fsync, self._replace = root, os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "replace", self.replace)

    def fsync(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        self._note("flush", path)
        self._fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._note("rename to", Path(target))
        self._replace(source, target)

    def _note(self, call: str, path: Path) -> None:
        if self.fail_at == len(self.calls):
            raise self.error
        # the random part of temporary names out
        parts = ["TEMPORARY" if part.startswith(".") else part for part in path.relative_to(self._root).parts]
        self.calls.append((call, "/".join(parts)))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Disk:
    if not Path("/proc/self/fd").exists():
        pytest.skip("the paths of descriptors are read from /proc")
    return Disk(monkeypatch, tmp_path.resolve())


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


WRITERS: dict[str, Callable[[Path, str], object]] = {
    "bytes": lambda path, word: write_bytes(path, f'"{word}"\n'.encode()),
    "text": lambda path, word: write_text(path, f'"{word}"\n'),
    "json": write_json_atomic,
    "callable": lambda path, word: write_file(path, lambda part: part.write_text(f'"{word}"\n')),
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest) -> Callable[[Path, str], object]:
    return WRITERS[request.param]


def test_a_file_is_flushed_before_it_is_renamed_and_its_folder_after(
    disk: Disk, tmp_path: Path, write: Callable[[Path, str], object]
) -> None:
    write(tmp_path / "file", "new")
    assert disk.calls == [
        ("flush", "TEMPORARY"),
        ("rename to", "file"),
        ("flush", ""),
    ]
    assert contents(tmp_path) == {"file": '"new"\n'}


@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
def test_a_writer_killed_at_any_step_leaves_the_old_file_or_the_new_one(
    disk: Disk, tmp_path: Path, write: Callable[[Path, str], object], step: int
) -> None:
    write(tmp_path / "file", "old")
    disk.fail_at = len(disk.calls) + step
    with pytest.raises(Killed):
        write(tmp_path / "file", "new")
    is_renamed = step > STEPS.index("rename")
    assert contents(tmp_path) == {"file": '"new"\n' if is_renamed else '"old"\n'}


@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
def test_a_disk_that_fails_is_reported_and_leaves_no_temporary_file(
    disk: Disk, tmp_path: Path, step: int
) -> None:
    disk.fail_at, disk.error = step, OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(RunDirError, match=r"file cannot be written \(No space left on device\)"):
        write_json_atomic(tmp_path / "file", {})
    assert set(contents(tmp_path)) == ({"file"} if step > STEPS.index("rename") else set())


def test_a_callable_that_fails_midway_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "film.gif", "old")

    def half(path: Path) -> None:
        assert path.suffix == ".gif"  # some libraries choose the format by it
        path.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "film.gif", half)
    assert contents(tmp_path) == {"film.gif": "old"}


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    data = bytes(range(256)) * (durable.DIGEST_CHUNK_BYTES // 128)  # two chunks
    expected = hashlib.sha256(data).hexdigest()
    assert write_bytes(tmp_path / "file", data) == expected
    assert file_digest(tmp_path / "file") == expected


def test_a_number_that_is_not_finite_is_refused_and_the_old_file_kept(tmp_path: Path) -> None:
    write_json_atomic(tmp_path / "result.json", {"labels": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json_atomic(tmp_path / "result.json", {"labels": math.nan})
    assert read_json(tmp_path / "result.json") == {"labels": 1}


@pytest.mark.parametrize("text", ["{", "[]", "7", "[" * 100_000, "\x00\x00"])
def test_what_is_not_a_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(RunDirError, match=r"file is not .*; start anew"):
        read_json(tmp_path / "file", "start anew")


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    def overtaken(path: Path) -> None:
        path.write_text("outer")
        write_text(tmp_path / "file", "inner")
        assert path.read_text() == "outer"

    write_file(tmp_path / "file", overtaken)
    assert contents(tmp_path) == {"file": "outer"}


# Folders


def fill(path: Path) -> None:
    with durable_folder(path) as making:
        (making / "weights").write_text("w")
        (making / "replay").mkdir()
        (making / "replay" / "rows").write_text("r")
        (making / "link").symlink_to("nowhere")


def test_a_folder_is_flushed_whole_before_it_is_renamed_and_its_parent_after(
    disk: Disk, tmp_path: Path
) -> None:
    fill(tmp_path / "agent")
    renamed = disk.calls.index(("rename to", "agent"))
    assert sorted(disk.calls[:renamed]) == [
        ("flush", "TEMPORARY"),
        ("flush", "TEMPORARY/replay"),
        ("flush", "TEMPORARY/replay/rows"),
        ("flush", "TEMPORARY/weights"),
    ]
    assert disk.calls[renamed - 1] == ("flush", "TEMPORARY")  # a folder after what it holds
    assert disk.calls[renamed + 1 :] == [("flush", "")]


@pytest.mark.parametrize("step", range(6))
def test_a_folder_killed_at_any_step_is_whole_or_not_there(disk: Disk, tmp_path: Path, step: int) -> None:
    disk.fail_at = step
    with pytest.raises(Killed):
        fill(tmp_path / "agent")
    if step == 5:
        assert sorted(path.name for path in tmp_path.glob("agent/**/*")) == [
            "link",
            "replay",
            "rows",
            "weights",
        ]
    else:
        assert list(tmp_path.iterdir()) == []


def test_a_folder_with_content_is_not_replaced(tmp_path: Path) -> None:
    fill(tmp_path / "agent")
    with pytest.raises(OSError, match="not empty"):
        fill(tmp_path / "agent")
    assert [path.name for path in tmp_path.iterdir()] == ["agent"]


def test_the_folders_above_are_made_and_flushed(disk: Disk, tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert disk.calls == [("flush", ""), ("flush", "a")]


def test_a_file_in_the_way_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(NotADirectoryError):
            make_folder(path)


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [durable._temporary(tmp_path / "model"), tmp_path / ".4711-00001.safetensors"]
    left.append(tmp_path / ".trainer.safetensors.4711.partial")
    for path in left:
        path.touch()
    folder = durable._temporary(tmp_path / "agent")
    folder.mkdir()
    (folder / "weights").touch()
    for name in ("model", ".hidden", "2-x"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert set(contents(tmp_path)) == {"model", ".hidden", "2-x"}


def test_json_is_read_back(tmp_path: Path) -> None:
    write_json_atomic(tmp_path / "file", {"a": [1, None, "é"]})
    assert read_json(tmp_path / "file") == json.loads((tmp_path / "file").read_bytes())
