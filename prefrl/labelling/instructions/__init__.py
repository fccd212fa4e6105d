"""Instructions for annotators: a text per environment, which a run or an annotator can replace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from prefrl.storage.durable import write_text
from prefrl.storage.run_dir import RunDir

__all__ = ["Instructions", "check_instructions", "find_instructions", "put_instructions"]

_FOLDER = Path(__file__).parent
_FILE = "instructions.txt"
_MAX_BYTES = 100_000
_MAX_QUESTION_LETTERS = 200


@dataclass(frozen=True)
class Instructions:
    """The question people answer, and what to judge by."""

    question: str
    """shown above the clips"""
    body: str

    @classmethod
    def parse(cls, text: str) -> Instructions:
        """Parse a text whose first line is the question.

        Raises:
            ValueError: if it is empty, or the question is too long.
        """
        question, _, body = text.strip().partition("\n")
        if not question:
            raise ValueError(
                "instructions are empty; write the question on the first line and the rest below"
            )
        if len(question) > _MAX_QUESTION_LETTERS:
            raise ValueError(
                f"the question, the first line of the instructions, has {len(question)} letters; at most "
                f"{_MAX_QUESTION_LETTERS} fit above the clips, write the rest below it"
            )
        return cls(question.strip(), body.strip())


def find_instructions(path: Path | None, run: RunDir, env_id: str) -> Instructions:
    """The text at ``path``; by default the run's own, or else the built-in text of the environment.

    Raises:
        ValueError: if the file cannot be read, is too long or has no question.
    """
    own = run.path / _FILE
    return Instructions.parse(_read(path or (own if own.exists() else _builtin(env_id))))


def put_instructions(path: Path | None, run: RunDir, env_id: str) -> None:
    """Copy the text at ``path``, by default the environment's built-in one, to the run, where it can be edited."""
    write_text(run.path / _FILE, _read(path or _builtin(env_id)))


def check_instructions(path: Path) -> None:
    """Raise ValueError unless the file is readable and has a question."""
    _read(path)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is {path.stat().st_size} bytes long; at most {_MAX_BYTES} are allowed")
        text = path.read_text(encoding="utf-8")
        Instructions.parse(text)
    except (OSError, UnicodeError, ValueError) as error:
        raise ValueError(f"instructions {path} cannot be used: {error}") from error
    return text


def _builtin(env_id: str) -> Path:
    """The built-in text: ``boat-race.txt`` for ``prefrl/BoatRace-v0``, ``default.txt`` for unknown environments."""
    name = re.sub(r"-v\d+$", "", env_id.rpartition("/")[2].rpartition(":")[2])
    kebab = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
    path = _FOLDER / f"{kebab}.txt"
    return path if path.exists() else _FOLDER / "default.txt"
