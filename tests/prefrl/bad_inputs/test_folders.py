"""Commands on a folder that is missing, foreign, unwritable, full, in use, or of a run that has not begun."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.config import RunConfig
from prefrl.storage.run_dir import RunDir, RunDirError
from prefrl.storage.versions import publish_version

ON_A_RUN = [
    ["status"],
    ["resume"],
    ["eval"],
    ["watch"],
    ["watch", "--gif", "film.gif"],
    ["export", "exported"],
    ["fit", "--out", "out"],
]


def on(run: Path, words: list[str]) -> list[str]:
    return [words[0], str(run), *words[1:]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("words", ON_A_RUN)
@pytest.mark.parametrize("kind", ["missing", "empty", "foreign", "file"])
def test_a_folder_that_is_not_a_run_is_refused(
    prefrl: Callable[..., Any],
    contents: Callable[[Path], dict[str, str]],
    tmp_path: Path,
    words: list[str],
    kind: str,
) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("no folder")
    elif kind != "missing":
        place.mkdir()
    if kind == "foreign":
        (place / "thesis.tex").write_text("years of work")
    before = contents(tmp_path)
    known = "does not exist" if kind == "missing" else "run directory"
    prefrl(*on(place, words)).refuses(f"prefrl {words[0]}:", str(place), known)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["missing", "empty", "run"])
def test_a_folder_that_is_not_an_export_is_refused(
    prefrl: Callable[..., Any],
    contents: Callable[[Path], dict[str, str]],
    fresh: RunDir,
    tmp_path: Path,
    kind: str,
) -> None:
    place = tmp_path / "place"
    if kind == "empty":
        place.mkdir()
    before = contents(tmp_path)
    source = fresh.path if kind == "run" else place
    prefrl("import", source, fresh.path).refuses(f"{source}/about.json: cannot be read", "finished export")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval"], ["no agent has been saved", "train for longer"]),
        (["watch", "--gif", "film.gif"], ["no agent has been saved", "train for longer"]),
        (["export", "exported"], ["has no comparisons to export", "prefrl resume"]),
        (["fit", "--out", "out"], ["holds no comparisons", "nothing to learn from"]),
    ],
)
def test_commands_refuse_a_run_that_has_not_begun(
    prefrl: Callable[..., Any],
    contents: Callable[[Path], dict[str, str]],
    fresh: RunDir,
    tmp_path: Path,
    words: list[str],
    said: list[str],
) -> None:
    before = contents(tmp_path)
    prefrl(*on(fresh.path, words)).refuses(*said)
    assert contents(tmp_path) == before


def test_watch_refuses_a_run_without_a_reward(prefrl: Callable[..., Any], trained: RunDir) -> None:
    (trained.reward / "latest.json").unlink()
    prefrl("watch", trained.path, "--gif", "film.gif").refuses("no learned reward yet", "first answers")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], ["holds this run already", "prefrl resume"]),
        (["--labels", "99"], ["labels is 12 there, 99 here", "choose another path"]),
        (
            ["--seed", "5", "--reward.std", "2"],
            ["seed is 0 there, 5 here", "reward.std is 1.0 there, 2.0 here"],
        ),
    ],
)
def test_an_existing_run_directory_is_refused(
    prefrl: Callable[..., Any],
    nothing_starts: None,
    contents: Callable[[Path], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    small_config: RunConfig,
    fresh: RunDir,
    flags: list[str],
    said: list[str],
) -> None:
    preset = dataclasses.make_dataclass("Preset", ["config"])(small_config)
    monkeypatch.setattr("prefrl.cli.train_command.get_preset", lambda name: preset)
    before = contents(fresh.path)
    prefrl("train", "small", "--run", fresh.path, *flags).refuses(*said)
    assert contents(fresh.path) == before


@pytest.mark.parametrize("kind", ["foreign", "file", "below a file"])
def test_an_impossible_run_directory_is_refused(
    prefrl: Callable[..., Any],
    nothing_starts: None,
    contents: Callable[[Path], dict[str, str]],
    tmp_path: Path,
    kind: str,
) -> None:
    place = tmp_path / "place"
    if kind == "foreign":
        (place / "reward").mkdir(parents=True)
        (place / "thesis.tex").write_text("years of work")
    else:
        place.write_text("no folder")
    before = contents(tmp_path)
    target = place / "run" if kind == "below a file" else place
    prefrl("train", "pendulum", "--run", target).refuses(str(target), "choose another path")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("call", ["mkdir", "write", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_an_unwritable_run_directory_is_not_left_incomplete(
    small_config: RunConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: str, number: int
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(number, os.strerror(number))

    mkdir, made = Path.mkdir, 0

    def fail_at_the_third(self: Path, *args: Any, **kwargs: Any) -> None:
        nonlocal made
        made += 1
        if made == 3:
            fail()
        mkdir(self, *args, **kwargs)

    if call == "mkdir":
        monkeypatch.setattr(Path, "mkdir", fail_at_the_third)
    elif call == "write":
        monkeypatch.setattr("prefrl.storage.durable.os.fsync", fail)
    else:
        monkeypatch.setattr("prefrl.storage.durable.os.replace", fail)
    with pytest.raises(RunDirError, match=os.strerror(number)):
        RunDir.create(tmp_path / "run", small_config)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_old_metrics(fresh: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh.append_metrics({"source": "policy", "policy_step": 1})
    before = fresh.metrics.read_bytes()

    def fail(*args: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("prefrl.storage.metrics_file.os.write", fail)
    with pytest.raises(RunDirError, match=r"metrics\.jsonl cannot be written \(No space left"):
        fresh.append_metrics({"source": "policy", "policy_step": 2})
    assert fresh.metrics.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_writing_to_dev_full_is_reported(fresh: RunDir) -> None:
    fresh.metrics.symlink_to("/dev/full")
    with pytest.raises(RunDirError, match=r"metrics\.jsonl cannot be written \(No space left"):
        fresh.append_metrics({"source": "policy", "policy_step": 1})


def test_a_full_disk_keeps_the_old_reward(contents: Callable[[Path], dict[str, str]], fresh: RunDir) -> None:
    publish_version(fresh.reward, 1, lambda path: path.write_text("weights"))
    before = contents(fresh.reward)

    def fail(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(RunDirError, match=r"000002\.safetensors cannot be published \(No space left"):
        publish_version(fresh.reward, 2, fail)
    assert contents(fresh.reward) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label_budget": 3}, ["unknown settings ['label_budget']", "knows"]),
        ({"labels": "12"}, ["labels is '12'", "int is needed"]),
        ({"labels": 0}, ["label budget is 0"]),
        ({"steps": 3}, ["give 0 segments"]),
        ({"reward": {"members": 0}}, ["reward.members is 0"]),
        ({"env": {"id": "Gone-v0"}}, ["'Gone-v0'"]),
    ],
)
def test_resume_checks_settings_that_were_edited(
    prefrl: Callable[..., Any],
    nothing_starts: None,
    contents: Callable[[Path], dict[str, str]],
    fresh: RunDir,
    change: dict[str, Any],
    said: list[str],
) -> None:
    fresh.config_file.write_text(json.dumps(json.loads(fresh.config_file.read_text()) | change))
    before = contents(fresh.path)
    prefrl("resume", fresh.path).refuses(*said)
    assert contents(fresh.path) == before
