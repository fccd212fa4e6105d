"""Output folders of commands: checked before the work, and complete or absent after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefrl.cli.new_folder import check_new_folder
from prefrl.storage.durable import durable_folder


def test_only_parent_folders_are_created(tmp_path: Path) -> None:
    check_new_folder(tmp_path / "models" / "sft")
    assert list((tmp_path / "models").iterdir()) == []


def test_an_empty_folder_is_kept_and_can_be_filled(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    check_new_folder(out)
    assert list(tmp_path.iterdir()) == [out]
    with durable_folder(out) as making:
        (making / "file").write_text("whole")
    assert list(tmp_path.iterdir()) == [out]
    assert (out / "file").read_text() == "whole"


def test_existing_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match="which already exists; choose a new folder"):
            check_new_folder(out)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot be written \(.+\); choose another folder"):
        check_new_folder(tmp_path / "file" / "out")


def test_a_link_to_an_empty_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    check_new_folder(tmp_path / "out")
    with durable_folder(tmp_path / "out") as making:
        (making / "file").touch()
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "file").is_file()


def test_a_failed_write_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def _interrupted(out: Path) -> None:
    with durable_folder(out) as making:
        (making / "half").touch()
        assert not out.exists()
        raise KeyboardInterrupt
