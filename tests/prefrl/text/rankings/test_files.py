"""Files that are whole, and every way in which they are not."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.text.rankings import Ranking, RankingFileError, load_rankings, write_k_wise
from prefrl.text.rankings.files import read_rows

ROW = {"prompt": "p", "chosen": "a", "rejected": "b"}
LINE = json.dumps(ROW).encode() + b"\n"


@pytest.mark.parametrize("name", ["r.jsonl", "r.JSONL", "r.jsonl.gz", "r.json", "r.json.gz"])
def test_each_kind_of_file_gives_the_same_rows(rows_file: Callable[..., Path], name: str) -> None:
    path = rows_file(ROW, {**ROW, "chosen": "c"}, name=name)
    first, second = read_rows(path)
    assert (first.fields, second.fields["chosen"]) == (ROW, "c")
    where = "row" if ".json" in path.suffixes else "line"
    assert second.place == f"{path}, {where} 2"


def test_a_path_may_be_a_text(rows_file: Callable[..., Path]) -> None:
    assert load_rankings(str(rows_file(ROW))) == [Ranking("p", ("a", "b"), (1, 2), None, "rows.jsonl")]


def test_blank_lines_count_but_hold_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + LINE + b"\n  \r\n" + LINE.strip())
    assert [row.place for row in read_rows(path)] == [f"{path}, line 1", f"{path}, line 4"]


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({**ROW, "chosen": "one\u2028two\x85three"}, ensure_ascii=False))
    assert load_rankings(path)[0].responses[0] == "one\u2028two\x85three"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b"", "has no row; give"),
        ("r.jsonl", b"\n\n", "has no row"),
        ("r.json", b"[]", "has no row"),
        ("r.jsonl.gz", b"", "has no row"),
        ("r.jsonl", LINE + LINE + b'{"prompt": "p",\n', r"r\.jsonl, line 3: is not JSON \(.*\); correct"),
        ("r.jsonl", LINE + b"[" * 100_000, "line 2: is not JSON"),
        ("r.jsonl", LINE + b'{"prompt": ' + b"9" * 5000 + b"}", "line 2: is not JSON"),
        ("r.jsonl", LINE + b"[1, 2]\n", r"line 2: is list \[1, 2\]; give an object with named fields"),
        ("r.jsonl", LINE + b"null\n", "line 2: is null; give an object"),
        ("r.jsonl", LINE + b'{"prompt": "\xff"}', r"line 2: byte 12 of it \(0xff\) is not UTF-8; save"),
        ("r.json", LINE, r"r\.json: holds dict .*, not one list of rows; name it \.jsonl if"),
        ("r.json", LINE + LINE, r"r\.json: is not JSON \(Extra data: line 2"),
        ("r.json", b"[{}, 3]", r"r\.json, row 2: is int 3"),
        ("r.jsonl.gz", gzip.compress(LINE * 99, mtime=0)[:-9], "is cut short or damaged .*; copy it again"),
        ("r.jsonl.gz", gzip.compress(LINE, mtime=0)[:-8] + bytes(8), r"cannot be read \(CRC check failed"),
        ("r.jsonl.gz", gzip.compress(LINE, mtime=0)[:10] + b"\xff" * 30, "is cut short or damaged"),
        ("r.jsonl.gz", LINE, r"cannot be read \(Not a gzipped file"),
        ("r.csv", LINE, r"the name must end in one of \.jsonl, \.jsonl\.gz, \.json, \.json\.gz; rename"),
    ],
)
def test_damage_is_told_with_its_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RankingFileError, match=message) as caught:
        load_rankings(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.jsonl: cannot be read \(No such file"):
        load_rankings(tmp_path / "none.jsonl")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ValueError, match=r"folder\.json: cannot be read \(Is a directory"):
        load_rankings(tmp_path / "folder.json")


# Writing

RANKING = Ranking("p", ("a", "b"), (1, 2), "7", "here")


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_the_same_rankings_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    first, second = tmp_path / name, tmp_path / f"again-{name}"
    assert write_k_wise(first, [RANKING]) == write_k_wise(second, [RANKING]) == 1
    assert first.read_bytes() == second.read_bytes()
    assert load_rankings(first) == [RANKING]


def test_lines_are_of_ascii(tmp_path: Path) -> None:
    ranking = Ranking("p", ("\u2028", "ü"), (1, 2), source="here")
    write_k_wise(tmp_path / "r.jsonl", [ranking])
    assert (tmp_path / "r.jsonl").read_bytes().isascii()
    assert load_rankings(tmp_path / "r.jsonl") == [ranking]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "r.jsonl"
    write_k_wise(path, [RANKING])
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RankingFileError, match=r"cannot be written \(No space left on device\)"):
        write_k_wise(path, [RANKING] * 2)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["r.jsonl"]


def test_rankings_that_fail_half_way_leave_the_old_file(tmp_path: Path) -> None:
    def broken() -> Any:
        yield RANKING
        raise RuntimeError("the source dried up")

    path = tmp_path / "r.jsonl"
    write_k_wise(path, [RANKING])
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="dried up"):
        write_k_wise(path, broken())
    assert path.read_bytes() == before


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(RankingFileError, match="nothing to write; give at least one"):
        write_k_wise(tmp_path / "r.jsonl", [])
    with pytest.raises(RankingFileError, match=r"must end in one of \.jsonl, \.jsonl\.gz; rename"):
        write_k_wise(tmp_path / "r.json", [RANKING])
    with pytest.raises(RankingFileError, match=r"cannot be written \(No such file or directory\); choose"):
        write_k_wise(tmp_path / "none" / "r.jsonl", [RANKING])
    assert list(tmp_path.iterdir()) == []
