"""``prefrl label`` with key presses on SDL's dummy video driver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pygame
import pytest
from filelock import FileLock

from prefrl.cli import main
from prefrl.config import OracleConfig
from prefrl.data.clips import Clip, encode_clip
from prefrl.data.types import Provenance, Query, Segment
from prefrl.presets import get_preset
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir

KEYS = {"left": pygame.K_LEFT, "right": pygame.K_RIGHT, "back": pygame.K_BACKSPACE, "q": pygame.K_q}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run with a human oracle and three open queries."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    config = replace(get_preset("pendulum").config, oracle=OracleConfig("human"))
    run = RunDir.create(tmp_path / "run", config)
    with Store.open(run.store, create=True) as store:
        for number in range(3):
            pair = segment(2 * number), segment(2 * number + 1)
            frames = np.zeros((3, 40, 40, 3), np.uint8)
            clips = {one.id: encode_clip(Clip(frames=frames)) for one in pair}
            store.add_segments(pair, keep_unqueried=100, clips=clips)
            store.add_queries([Query(pair)])
    return run


def segment(number: int) -> Segment:
    flags, rewards = np.zeros(3, bool), np.full(3, number, np.float32)
    return Segment(
        rewards[:, None], rewards[:, None], rewards, flags, flags, Provenance("Pendulum-v1", 0, number, 0)
    )


@pytest.mark.parametrize(
    ("login", "annotator"), [("John Smith", "John_Smith"), ("DOMAIN\\ann", "DOMAIN_ann"), (None, "person")]
)
def test_the_login_name_is_the_default_annotator(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, login: str | None, annotator: str
) -> None:
    def getuser() -> str:
        if login is None:
            raise KeyError("getpwuid(): uid not found: 1000")
        return login

    monkeypatch.setattr("getpass.getuser", getuser)
    with person(lambda press, store: (press("back"), wait_until(lambda: store.leases())), run):  # type: ignore[func-returns-value]
        assert main(["label", str(run.path)]) == 0
    assert (run.path / f"annotator-{annotator}.lock").exists()


def test_the_synthetic_oracle_s_name_is_refused(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", str(run.path), "--annotator", "synthetic"]) == 1
    assert "take another name" in capsys.readouterr().err


@contextmanager
def person(act: Callable[[Callable[[str], None], Store], None], run: RunDir) -> Iterator[None]:
    """Runs ``act`` in another thread; presses Q at the end, also after an error."""

    def press(name: str) -> None:
        pygame.event.post(
            pygame.event.Event(pygame.KEYDOWN, key=KEYS[name], unicode="q" if name == "q" else "")
        )

    def run_thread() -> None:
        try:
            wait_until(pygame.display.get_init)
            with Store.open(run.store) as store:
                act(press, store)
        finally:
            press("q")

    thread = threading.Thread(target=run_thread)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def wait_until(found: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 600
    while not found():
        assert time.monotonic() < deadline_s, "timed out"
        time.sleep(0.01)


def press_until(press: Callable[[str], None], key: str, found: Callable[[], object]) -> None:
    """Press again until it has an effect: the page may not be shown yet."""

    def pressed() -> bool:
        press(key)
        deadline_s = time.monotonic() + 5
        while not found() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        return bool(found())

    wait_until(pressed)


def test_a_person_can_answer_undo_and_leave(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    def act(press: Callable[[str], None], store: Store) -> None:
        press("right")  # leaves the instructions
        press_until(press, "left", lambda: store.counts().comparisons == 1)
        press("back")
        press_until(press, "right", lambda: store.counts().comparisons == 2)

    with person(act, run):
        assert main(["label", str(run.path), "--annotator", "ann"]) == 0
    with Store.open(run.store) as store:
        first, second = store.comparisons()
        assert (first.ranks, second.ranks) == ((1, 2), (2, 1))
        assert (first.query_id, second.query_id, second.supersedes) == (1, 1, first.id)
        assert first.annotator == "ann"
        assert store.counts().labels == 1
        assert store.leases() == []
        (seen,) = [worker for worker in store.workers() if worker.name == "annotator ann"]
        assert seen.state == "away"
    assert "prefrl label" in capsys.readouterr().err


def test_a_second_window_under_the_same_name_is_refused(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(run.path / "annotator-ann.lock"):
        assert main(["label", str(run.path), "--annotator", "ann"]) == 1
    assert "as 'ann' already; take another name" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "../up", "a b", "x" * 41])
def test_invalid_names_are_refused(
    run: RunDir, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "not a name either")
    assert main(["label", str(run.path), "--annotator", name]) == 1
    assert "letters, digits" in capsys.readouterr().err


def test_a_run_with_a_synthetic_oracle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDir.create(tmp_path / "run", get_preset("pendulum").config)
    assert main(["label", str(run.path)]) == 1
    assert "its oracle is synthetic" in capsys.readouterr().err


def test_without_a_screen_the_error_says_so(
    run: RunDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    monkeypatch.delenv("DISPLAY", raising=False)
    assert main(["label", str(run.path), "--annotator", "ann"]) == 1
    assert "a window cannot be opened" in capsys.readouterr().err


def test_training_with_people_needs_a_screen_before_any_work_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    monkeypatch.delenv("DISPLAY", raising=False)
    path = tmp_path / "run"
    assert main(["train", "pendulum", "--oracle", "human", "--run", str(path)]) == 1
    assert "--no-viewer" in capsys.readouterr().err
    assert not path.exists()
