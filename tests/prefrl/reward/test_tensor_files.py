from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from prefrl.reward import tensor_files
from prefrl.reward.tensor_files import RewardFileError, read_tensors, write_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(3)}


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.safetensors"
    write_tensors(path, "kind", TENSORS, {"x": [1, None]})
    tensors, header = read_tensors(path, "kind")
    assert header == {"x": [1, None]}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert [child.name for child in path.parent.iterdir()] == ["file.safetensors"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RewardFileError, match="there is no file"):
        read_tensors(tmp_path / "none", "kind")


def test_truncated_at_any_point(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_tensors(path, "kind", TENSORS, {})
    whole = path.read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(RewardFileError, match="is damaged"):
            read_tensors(path, "kind")


def test_one_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_tensors(path, "kind", TENSORS, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RewardFileError, match="checksum"):
        read_tensors(path, "kind")


def test_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(RewardFileError, match="is no kind file; its format is 'not stated'"):
        read_tensors(path, "kind")
    write_tensors(path, "other", TENSORS, {})
    with pytest.raises(RewardFileError, match="is no kind file; its format is 'other'"):
        read_tensors(path, "kind")
    with pytest.raises(RewardFileError, match="is damaged or no kind file"):
        read_tensors(tmp_path, "kind")


def test_another_version_of_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    monkeypatch.setattr(tensor_files, "FORMAT_VERSION", 99)
    write_tensors(path, "kind", TENSORS, {})
    monkeypatch.undo()
    with pytest.raises(RewardFileError, match=r"version 99 of the kind format, this program reads version 1"):
        read_tensors(path, "kind")


def test_the_content_is_on_disk_before_its_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flush(descriptor: int) -> None:
        calls.append("flush folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "flush file")
        fsync(descriptor)

    def rename(source: Path, target: Path) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    write_tensors(tmp_path / "file", "kind", TENSORS, {})
    assert calls == ["flush file", "rename", "flush folder"]
