"""Instructions for annotators, wherever they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefrl.labelling.instructions import Instructions, find_instructions, put_instructions
from prefrl.presets import PRESETS
from prefrl.storage.run_dir import RunDir


def test_the_question_is_on_the_first_line() -> None:
    found = Instructions.parse("\nWhich is better?\n\nLook.\n\nThen choose.\n")
    assert found == Instructions("Which is better?", "Look.\n\nThen choose.")


def test_the_given_file_comes_first_then_the_run_s_then_the_built_in_text(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    builtin = find_instructions(None, run, "Pendulum-v1")
    assert "pendulum" in builtin.question
    (tmp_path / "instructions.txt").write_text("Ours?")
    assert find_instructions(None, run, "Pendulum-v1").question == "Ours?"
    mine = tmp_path / "mine.txt"
    mine.write_text("Mine?")
    assert find_instructions(mine, run, "Pendulum-v1").question == "Mine?"


def test_an_unknown_environment_has_default_instructions(tmp_path: Path) -> None:
    assert find_instructions(None, RunDir(tmp_path), "my_package:Some/Thing-v3").question


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "are empty"), (b"\xff\xfe\x00", "decode"), (b"x" * 200_000, "200000 bytes")],
)
def test_unusable_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "instructions.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        find_instructions(path, RunDir(tmp_path), "Pendulum-v1")


def test_a_run_gets_a_copy_that_can_be_edited(tmp_path: Path) -> None:
    put_instructions(None, RunDir(tmp_path), "Pendulum-v1")
    copy = tmp_path / "instructions.txt"
    copy.write_text(copy.read_text().replace("pendulum", "stick"))
    assert "stick" in find_instructions(None, RunDir(tmp_path), "Pendulum-v1").question


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none"):
        find_instructions(tmp_path / "none.txt", RunDir(tmp_path), "Pendulum-v1")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_its_own_instructions(name: str, tmp_path: Path) -> None:
    default = find_instructions(None, RunDir(tmp_path), "Nobody/Knows-v0")
    assert find_instructions(None, RunDir(tmp_path), PRESETS[name].config.env.id) != default


def test_a_question_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="has 201 letters; at most 200"):
        Instructions.parse("x" * 201 + "\nLook.")
