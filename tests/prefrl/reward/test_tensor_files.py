from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from prefrl.reward import tensor_files
from prefrl.reward.tensor_files import RewardFileError, check_layout, read_tensors, write_tensors

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
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(RewardFileError, match="is damaged"):
            read_tensors(path, "kind")


def test_one_flipped_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_tensors(path, "kind", TENSORS, {"x": [1, None]})
    whole = path.read_bytes()
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        with pytest.raises(RewardFileError):
            read_tensors(path, "kind")
    with pytest.raises(RewardFileError, match="checksum"):
        read_tensors(path, "kind")


def test_files_of_the_first_version_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    metadata = {"format": "kind", "format_version": "1", "header": '{"x": 1}'}
    # SHA-256 of "btorch.float32(2,)" and the two numbers, little-endian: the header has no part in it.
    content = b"btorch.float32(2,)" + bytes.fromhex("0000803f00000040")
    save_file(
        {"b": torch.tensor([1.0, 2.0])}, path, metadata | {"sha256": hashlib.sha256(content).hexdigest()}
    )
    tensors, header = read_tensors(path, "kind")
    assert (tensors["b"].tolist(), header) == ([1.0, 2.0], {"x": 1})


def test_a_crafted_length_of_the_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_tensors(path, "kind", TENSORS, {})
    whole = path.read_bytes()
    for length in (0, 1, len(whole), 100_000_001, 2**63, 2**64 - 1):
        path.write_bytes(length.to_bytes(8, "little") + whole[8:])
        with pytest.raises(RewardFileError, match="is damaged"):
            read_tensors(path, "kind")


@pytest.mark.parametrize(
    "described",
    [
        {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]},
        {"dtype": "F32", "shape": [2**63, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "F4", "shape": [16], "data_offsets": [0, 8]},
        {"dtype": "pickle", "shape": [8], "data_offsets": [0, 8]},
    ],
)
def test_a_crafted_tensor_is_refused(tmp_path: Path, described: dict[str, Any]) -> None:
    path = tmp_path / "file"
    metadata = {"format": "kind", "format_version": "2", "header": "{}", "sha256": "0" * 64}
    head = json.dumps({"__metadata__": metadata, "a": described}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))
    with pytest.raises(RewardFileError, match="is damaged"):
        read_tensors(path, "kind")


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path, ran = tmp_path / "file", tmp_path / "ran"

    class Crafted:
        def __reduce__(self) -> Any:
            return ran.write_text, ("",)

    path.write_bytes(pickle.dumps(Crafted()))
    with pytest.raises(RewardFileError, match="is damaged"):
        read_tensors(path, "kind")
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(RewardFileError, match="is damaged"):
        read_tensors(path, "kind")
    assert not ran.exists()


@pytest.mark.parametrize("header", ["[1]", "1", "{", "[" * 100_000, ""])
def test_a_header_that_is_no_json_object_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "file"
    tensors = {"a": torch.zeros(1)}
    metadata = {"format": "kind", "format_version": "2", "header": header}
    save_file(tensors, path, metadata | {"sha256": tensor_files._digest(tensors, header)})
    with pytest.raises(RewardFileError, match=r"header (cannot be read|is not a JSON object)"):
        read_tensors(path, "kind")


def test_layouts_are_compared_by_name_shape_and_dtype() -> None:
    expected = {"a": torch.zeros(2), "b": torch.zeros(3)}
    check_layout({"a": torch.ones(2), "b": torch.ones(3)}, expected)
    for other, said in (
        ({"a": torch.ones(2)}, "'b' is missing"),
        (expected | {"c": torch.ones(1)}, "'c' is not expected"),
        (
            expected | {"b": torch.ones(3, 1)},
            r"'b' is torch.float32 \(3, 1\), torch.float32 \(3,\) is needed",
        ),
        (expected | {"b": torch.ones(3).double()}, r"'b' is torch.float64 \(3,\), torch.float32"),
    ):
        with pytest.raises(ValueError, match=said):
            check_layout(other, expected)


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
    with pytest.raises(
        RewardFileError, match=r"version 99 of the kind format, this program reads versions 1 and 2"
    ):
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
