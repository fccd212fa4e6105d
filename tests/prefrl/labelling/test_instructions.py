"""What people are asked to judge by, wherever it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefrl.labelling.instructions import Instructions, find_instructions, put_instructions
from prefrl.presets import PRESETS
from prefrl.storage.run_dir import RunDir


def test_the_question_is_on_the_first_line() -> None:
    found = Instructions.parse("\nWhich is better?\n\nLook.\n\nThen choose.\n")
    assert found == Instructions("Which is better?", "Look.\n\nThen choose.")


def test_the_file_named_comes_first_then_the_run_s_then_what_is_known(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    known = find_instructions(None, run, "Pendulum-v1")
    assert "pendulum" in known.question
    (tmp_path / "instructions.txt").write_text("Ours?")
    assert find_instructions(None, run, "Pendulum-v1").question == "Ours?"
    mine = tmp_path / "mine.txt"
    mine.write_text("Mine?")
    assert find_instructions(mine, run, "Pendulum-v1").question == "Mine?"


def test_an_environment_nobody_has_written_about_has_a_page_all_the_same(tmp_path: Path) -> None:
    assert find_instructions(None, RunDir(tmp_path), "my_package:Some/Thing-v3").question


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "are empty"), (b"\xff\xfe\x00", "decode"), (b"x" * 200_000, "200000 bytes")],
)
def test_what_cannot_be_shown_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "instructions.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        find_instructions(path, RunDir(tmp_path), "Pendulum-v1")


def test_a_run_gets_a_copy_to_be_edited(tmp_path: Path) -> None:
    put_instructions(None, RunDir(tmp_path), "Pendulum-v1")
    copy = tmp_path / "instructions.txt"
    copy.write_text(copy.read_text().replace("pendulum", "stick"))
    assert "stick" in find_instructions(None, RunDir(tmp_path), "Pendulum-v1").question


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none"):
        find_instructions(tmp_path / "none.txt", RunDir(tmp_path), "Pendulum-v1")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_page_of_its_own(name: str, tmp_path: Path) -> None:
    default = find_instructions(None, RunDir(tmp_path), "Nobody/Knows-v0")
    assert find_instructions(None, RunDir(tmp_path), PRESETS[name].config.env.id) != default


def test_a_question_too_long_for_its_line_is_refused() -> None:
    with pytest.raises(ValueError, match="has 201 letters; at most 200"):
        Instructions.parse("x" * 201 + "\nLook.")
