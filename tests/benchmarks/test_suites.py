"""Every suite: it loads, its jobs are built, and the programs that they run accept their arguments."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tyro

from benchmarks.harness import ROOT, Job, Record, prefrl_command
from benchmarks.suites import __main__ as suite_list
from benchmarks.suites import describe, load, run, suite_names
from benchmarks.suites.kills.job import train_words
from benchmarks.suites.seaquest_human_data.job import EPOCHS, FOLDS, SETTINGS
from prefrl.cli import main as prefrl_main

OPTIONS: dict[str, dict[str, Any]] = {
    "memory": {"minutes": 60.0},
    "seaquest_human_data": {"data": Path("people.npz")},
    "text_rewards": {"data": Path("pairs.jsonl.gz"), "corpus": Path("corpus.jsonl.gz")},
}
RECORDED = {
    "annotators": ("pendulum/known", "7488645382b0b3f0"),
    "atari": ("speed-ppo/sb3-ppo", "fa1ac7224a59dac6"),
    "control": ("pendulum/imitation", "56d60734099ca2ac"),
    "kills": ("kill/policy", "6f7a88026eaec3d1"),
    "text_frontier": ("reviews/ppo", "190eb313c34221cc"),
    "text_optimum": ("enumerable/ppo", "1925e1d88e957fc3"),
    "text_overoptimisation": ("reviews/single", "37dca498d4e7311b"),
    "text_rewards": ("arguments/prefrl", "6fde4b0cd524c3d1"),
    "text_speed": ("ppo/prefrl", "bd5326be8d130e50"),
}
"""suite -> a job, and the hash of its config in benchmarks/results, where that depends on no preset"""


def jobs_of(name: str, seed: int = 0, quick: bool = False) -> Sequence[Job]:
    return load(name).jobs(seed, quick, **OPTIONS.get(name, {}))


class Parsed(BaseException):
    """The arguments were accepted; nothing is run."""


def accepts_its_arguments(program: Callable[[], object]) -> None:
    """Call the program and stop it once it has parsed its arguments."""
    parse_args, cli = argparse.ArgumentParser.parse_args, tyro.cli

    def parse(self: argparse.ArgumentParser) -> None:
        parse_args(self)
        raise Parsed

    def parse_with_tyro(*arguments: Any, **keywords: Any) -> None:
        cli(*arguments, **keywords)
        raise Parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse)
        patch.setattr(tyro, "cli", parse_with_tyro)
        with pytest.raises(Parsed):
            program()


def check_arguments(command: Sequence[str]) -> None:
    """Fails unless the program of a job, run by this Python, accepts its arguments."""
    assert command[0] == sys.executable
    if command[1:3] == prefrl_command()[1:3]:
        accepts_its_arguments(lambda: prefrl_main(command[3:]))
        return
    is_module = command[1] == "-m"
    module = importlib.import_module(command[2]) if is_module else load_file(ROOT / command[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["program", *command[3 if is_module else 2 :]])
        accepts_its_arguments(module.main)


def load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_suite_is_listed_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    suite_list.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(suite_names())]] == suite_names()
    assert all(describe(name) in line for name, line in zip(suite_names(), lines, strict=False))
    assert all(describe(name).count("\n") == 0 for name in suite_names())


@pytest.mark.parametrize("name", suite_names())
class TestSuite:
    def test_is_named_as_its_folder(self, name: str) -> None:
        assert load(name).name == name

    def test_names_of_a_seeds_jobs_are_distinct(self, name: str) -> None:
        for quick in (False, True):
            names = [job.name for job in jobs_of(name, quick=quick)]
            assert names
            assert len(set(names)) == len(names)

    def test_config_has_no_seed_and_no_place_of_a_file(self, name: str) -> None:
        hashes = [[job.config_hash for job in jobs_of(name, seed)] for seed in (0, 1)]
        assert hashes[0] == hashes[1]
        assert not any("benchmarks" in str(job.config) for job in jobs_of(name))

    def test_programs_accept_the_arguments_of_the_jobs(self, name: str) -> None:
        for quick in (False, True):
            for job in jobs_of(name, quick=quick):
                if job.command[0] == sys.executable:
                    check_arguments(job.command)

    def test_help_describes_the_suite(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            run(name, ["--help"])
        assert ended.value.code == 0
        # Without white space: argparse wraps lines, also after hyphens.
        printed = "".join(capsys.readouterr().out.split())
        assert f"python-mbenchmarks.suites.{name}" in printed
        assert "".join(describe(name).split()) in printed
        assert all(option in printed for option in load(name).options)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_results_still_count(name: str) -> None:
    job, config_hash = RECORDED[name]
    assert {each.name: each.config_hash for each in jobs_of(name)}[job] == config_hash


@pytest.mark.parametrize(
    "words",
    [
        train_words(0, Path("run")),
        ["train", "pendulum", "--oracle", "human", "--no-viewer", "--labels", "20", "--run", "run"],
        ["resume", "run"],
        ["eval", "run", "--episodes", "10"],
        ["label", "run", "--annotator", "ann"],
        ["fit", "export", *SETTINGS, "--out", "reward", "--epochs", str(EPOCHS), "--folds", str(FOLDS)],
    ],
    ids=lambda words: words[0],
)
def test_prefrl_accepts_what_jobs_run(words: list[str]) -> None:
    check_arguments(prefrl_command(*words))


def test_suite_in_the_readme_works(tmp_path: Path, finished: Callable[..., Record]) -> None:
    _, _, rest = (ROOT / "benchmarks" / "README.md").read_text().partition("```python\n")
    example: dict[str, Any] = {}
    exec(rest.partition("```")[0], example)
    (job,) = example["SUITE"].jobs(0, True)
    check_arguments(job.command)
    example["SUITE"].report([finished("mine", job.name, 0, {"true_return_mean": 2.0})], tmp_path)
    assert "| pendulum | prefrl | 1 | 2 | 2 to 2 | 2 | 2 |" in (tmp_path / "mine.md").read_text()
