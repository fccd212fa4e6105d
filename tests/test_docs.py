"""README and docs/ against the code: files exist, quoted code is the code, commands parse."""

from __future__ import annotations

import importlib
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from prefrl.cli import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = ("prefrl", "envs/prefrl_envs", "agents/prefrl_agents")


def files_listed() -> set[str]:
    """The files in the tables of *Every file*, each below a heading that names its folder."""
    listed, folder = set(), ""
    for line in ARCHITECTURE.split("## Every file")[1].split("## Glossary")[0].splitlines():
        if heading := re.match(r"### `(.+)`", line):
            folder = heading[1]
        if row := re.match(r"\| `(\S+\.py)` \|", line):
            listed.add(folder + row[1])
    return listed


def test_every_module_is_listed_and_every_listed_file_exists() -> None:
    modules = {
        path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }
    listed = files_listed()
    assert listed - modules == set()
    assert {path for path in modules - listed if not path.endswith("__init__.py")} == set()


@pytest.mark.parametrize("text", [README, ARCHITECTURE], ids=["README", "architecture"])
def test_paths_that_are_named_exist(text: str) -> None:
    named = set(re.findall(r"`((?:prefrl|envs|agents|benchmarks|tests|docs)/[\w/.-]*)`", text))
    named |= set(re.findall(r"\]\(((?!https?:)[\w/.-]+)(?:#[\w-]+)?\)", text))
    missing = [
        path
        for path in named
        if not re.search(r"NAME|ROOM|-v\d$", path)
        and not (ROOT / path).exists()
        and not (ROOT / "docs" / path).exists()
    ]
    assert missing == []


def quotations() -> Iterator[tuple[str, str]]:
    for block in re.findall(r"```python\n(# \S+\.py\n.*?)```", ARCHITECTURE, re.DOTALL):
        first, _, code = block.partition("\n")
        yield first.removeprefix("# "), code


def test_quoted_code_is_the_code() -> None:
    quoted = list(quotations())
    assert len(quoted) >= 3
    for path, code in quoted:
        source = (ROOT / path).read_text(encoding="utf-8")
        without_docstrings = re.sub(r'^ *"""[^"]*"""\n', "", source, flags=re.MULTILINE)
        flat = textwrap.dedent(without_docstrings)
        for part in code.strip().split("\n\n"):
            lines = [line.strip() for line in part.splitlines()]
            assert "\n".join(lines) in "\n".join(line.strip() for line in flat.splitlines()), part


def test_the_import_layers_are_those_of_pyproject() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = re.findall(r'"([\w.]+)"', pyproject.split("layers = [")[1].split("]")[0])
    assert "\n".join(layers) in ARCHITECTURE


def commands() -> Iterator[list[str]]:
    """The words of each ``prefrl`` command in README's shell blocks."""
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["prefrl"]:
                yield words[1:]


class _ParsedError(Exception):
    pass


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_commands_of_the_readme_parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if words == ["--help"]:
        return
    name, *rest = words
    assert name in COMMANDS
    module = importlib.import_module(f"prefrl.cli.{name}_command")
    parser = "parse" if hasattr(module, "parse") else "no_arguments"
    parse = getattr(module, parser)

    def parse_only(*args: Any, **kwargs: Any) -> NoReturn:
        parse(*args, **kwargs)
        raise _ParsedError

    monkeypatch.setattr(module, parser, parse_only)
    with pytest.raises(_ParsedError):
        module.main(rest)


def test_every_command_is_in_the_readme() -> None:
    assert [name for name in COMMANDS if f"`{name}`" not in README and f"prefrl {name}" not in README] == []
