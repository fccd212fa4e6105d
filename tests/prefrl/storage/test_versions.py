"""Publishing versions of a file, following them, and what damaged or foreign pointers do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.storage import versions
from prefrl.storage.errors import RunDirError
from prefrl.storage.versions import latest_version, publish_version


def publish(folder: Path, version: int, text: str = "weights", keep: int = 5) -> Path:
    def write(path: Path) -> None:
        path.write_text(f"{text} {version}")

    return publish_version(folder, version, write, keep)


def test_the_latest_version_is_found_and_old_ones_go(tmp_path: Path) -> None:
    folder = tmp_path / "reward"
    assert latest_version(folder) is None
    for version in range(1, 8):
        assert publish(folder, version, keep=3) == folder / f"{version:06d}.safetensors"
        assert latest_version(folder) == (version, folder / f"{version:06d}.safetensors")

    assert sorted(path.stem for path in folder.glob("*.safetensors")) == ["000005", "000006", "000007"]
    assert (folder / "000007.safetensors").read_text() == "weights 7"
    assert latest_version(folder, newer_than=6) == (7, folder / "000007.safetensors")
    assert latest_version(folder, newer_than=7) is None


def test_other_files_and_the_seventh_digit_are_kept_in_mind(tmp_path: Path) -> None:
    trainer = tmp_path / "trainer.safetensors"
    trainer.touch()
    for version in (999_998, 999_999, 1_000_000):
        publish(tmp_path, version, keep=2)

    assert trainer.exists()
    assert not (tmp_path / "999998.safetensors").exists()
    assert latest_version(tmp_path) == (1_000_000, tmp_path / "1000000.safetensors")


def test_versions_only_go_up(tmp_path: Path) -> None:
    publish(tmp_path, 5)
    for version in (5, 4):
        with pytest.raises(RunDirError, match=f"version {version} is not newer than version 5"):
            publish(tmp_path, version, "other")
    assert latest_version(tmp_path) == (5, tmp_path / "000005.safetensors")


@pytest.mark.parametrize("step", range(6))
def test_a_publisher_may_be_killed_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Flush, rename, flush of the folder: for the version, then for latest.json."""

    class Killed(BaseException):
        """Nothing cleans up after it."""

    done = 0

    def counted(call: Callable[..., None]) -> Callable[..., None]:
        def run(*args: Any) -> None:
            nonlocal done
            done += 1
            if done > step:
                raise Killed
            call(*args)

        return run

    publish(tmp_path, 1)
    with monkeypatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, counted(getattr(os, name)))
        with pytest.raises(Killed):
            publish(tmp_path, 2, "first")
    announced = 2 if step == 5 else 1
    assert latest_version(tmp_path) == (announced, tmp_path / f"{announced:06d}.safetensors")

    (tmp_path / ".4711-000003.safetensors").touch()
    publish(tmp_path, announced + 1)
    assert latest_version(tmp_path) == (announced + 1, tmp_path / f"{announced + 1:06d}.safetensors")
    assert latest_version(tmp_path, newer_than=announced + 1) is None
    expected = [f"{version:06d}.safetensors" for version in range(1, announced + 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*expected, "latest.json"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text("weigh"), "is not what was published"),
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: (path.parent / "latest.json").write_text("{"), "is not JSON"),
        (lambda path: (path.parent / "latest.json").write_text("{}"), "does not name a version"),
        (lambda path: point(path.parent, version="1"), "version is '1', a whole number"),
        (lambda path: point(path.parent, version=True), "version is True, a whole number"),
        (lambda path: point(path.parent, version=1.0), r"version is 1\.0, a whole number"),
        (lambda path: point(path.parent, version=-1), "version is -1, a whole number"),
        (lambda path: point(path.parent, version=None), "version is None, a whole number"),
        (lambda path: point(path.parent, sha256=None), "sha256 is None, 64 digits"),
        (lambda path: point(path.parent, sha256="abc"), "sha256 is 'abc', 64 digits"),
        (lambda path: point(path.parent, file=7), "7 is not the name of a file"),
        (lambda path: point(path.parent, file=["x"]), "is not the name of a file"),
    ],
)
def test_damaged_versions_are_told(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    path = publish(tmp_path, 1)
    damage(path)
    with pytest.raises(RunDirError, match=message):
        latest_version(tmp_path)


def test_a_version_deleted_while_it_is_read_gives_way_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, 1)
    digest = versions.file_digest

    def overtaken(path: Path) -> str:
        monkeypatch.setattr(versions, "file_digest", digest)
        publish(tmp_path, 2, keep=1)
        return digest(path)

    monkeypatch.setattr(versions, "file_digest", overtaken)
    assert latest_version(tmp_path) == (2, tmp_path / "000002.safetensors")


def test_a_folder_that_cannot_be_published_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunDirError, match="cannot be published"):
        publish(tmp_path / "file", 1)


# Pointers


def point(folder: Path, **entries: object) -> None:
    latest = json.loads((folder / "latest.json").read_text())
    (folder / "latest.json").write_text(json.dumps(latest | entries))


@pytest.mark.parametrize("kind", ["absolute", "above", "link", "linked folder"])
def test_latest_does_not_lead_out_of_its_folder(tmp_path: Path, kind: str) -> None:
    folder, outside = tmp_path / "reward", tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("weights 1")  # what was published, so that its digest is right
    publish(folder, 1)
    (folder / "link").symlink_to(outside / "file")
    (folder / "folder").symlink_to(outside)
    names = {
        "absolute": str(outside / "file"),
        "above": "../outside/file",
        "link": "link",
        "linked folder": "folder/file",
    }
    point(folder, file=names[kind])
    with pytest.raises(RunDirError, match=r"(not a path inside it|leads out of).*; delete .*latest\.json"):
        latest_version(folder)


def test_a_latest_that_is_a_link_to_outside_is_refused(tmp_path: Path) -> None:
    publish(tmp_path / "mine", 1)
    publish(tmp_path / "theirs", 1)
    (tmp_path / "theirs" / "latest.json").unlink()
    (tmp_path / "theirs" / "latest.json").symlink_to(tmp_path / "mine" / "latest.json")
    with pytest.raises(RunDirError, match="leads out of"):
        latest_version(tmp_path / "theirs")


def test_a_folder_that_is_itself_a_link_is_followed(tmp_path: Path) -> None:
    publish(tmp_path / "disk", 1)
    (tmp_path / "reward").symlink_to(tmp_path / "disk")
    assert latest_version(tmp_path / "reward") == (1, tmp_path / "reward" / "000001.safetensors")
