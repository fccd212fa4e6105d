"""What people are asked to judge by: a text for each environment, which may be replaced."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from prefrl.storage.durable import write_text
from prefrl.storage.run_dir import RunDir

__all__ = ["Instructions", "check_instructions", "find_instructions", "put_instructions"]

_FOLDER = Path(__file__).parent
_FILE = "instructions.txt"
_MOST_BYTES = 100_000
_LONGEST_QUESTION = 200


@dataclass(frozen=True)
class Instructions:
    """What people are asked to judge by."""

    question: str
    """shown above the clips"""
    body: str

    @classmethod
    def parse(cls, text: str) -> Instructions:
        """From a text whose first line is the question.

        Raises:
            ValueError: when it is empty, or the question is too long.
        """
        question, _, body = text.strip().partition("\n")
        if not question:
            raise ValueError("instructions are empty; write the question on the first line, the rest below")
        if len(question) > _LONGEST_QUESTION:
            raise ValueError(
                f"the first line of the instructions is the question, and has {len(question)} letters; at most "
                f"{_LONGEST_QUESTION} fit above the clips, write the rest below"
            )
        return cls(question.strip(), body.strip())


def find_instructions(path: Path | None, run: RunDir, env_id: str) -> Instructions:
    """The text at ``path``; without one the run's own, or what is known of the environment.

    Raises:
        ValueError: when the file cannot be read, is too long or holds no question.
    """
    own = run.path / _FILE
    return Instructions.parse(_read(path or (own if own.exists() else _known(env_id))))


def put_instructions(path: Path | None, run: RunDir, env_id: str) -> None:
    """Put the text at ``path``, or without one what is known of the environment, into the run, to be edited there."""
    write_text(run.path / _FILE, _read(path or _known(env_id)))


def check_instructions(path: Path) -> None:
    """Raise ValueError unless the file holds instructions."""
    _read(path)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it is {path.stat().st_size} bytes long, {_MOST_BYTES} at most are read")
        text = path.read_text(encoding="utf-8")
        Instructions.parse(text)
    except (OSError, UnicodeError, ValueError) as error:
        raise ValueError(f"instructions {path} cannot be used: {error}") from error
    return text


def _known(env_id: str) -> Path:
    """``prefrl/BoatRace-v0`` is described in ``boat-race.txt``."""
    name = re.sub(r"-v\d+$", "", env_id.rpartition("/")[2].rpartition(":")[2])
    kebab = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
    path = _FOLDER / f"{kebab}.txt"
    return path if path.exists() else _FOLDER / "default.txt"
