"""``prefrl annotators`` on a careful and a careless annotator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prefrl.annotators import annotator_diagnostics, annotator_reports
from prefrl.annotators.error_model import Answer
from prefrl.cli import main
from prefrl.config import OracleConfig, RunConfig
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Sixty queries and their repeats with sides swapped; "careful" is consistent, "lazy" always presses left."""
    run = RunDir.create(tmp_path / "run", RunConfig(oracle=OracleConfig("human")))
    with Store.open(run.store, create=True) as store:
        for number in range(60):
            pair = segment(2 * number), segment(2 * number + 1)
            store.add_segments(pair, keep_unqueried=1000)
            first, again = store.add_queries([Query(pair), Query(pair[::-1])])
            store.add_comparisons(
                [
                    Comparison(first, (2, 1), "careful", latency_s=4.0),
                    Comparison(again, (1, 2), "careful", latency_s=2.0),
                    Comparison(first, (1, 2), "lazy"),
                    Comparison(again, (1, 2), "lazy"),
                ]
            )
    return run


def segment(number: int) -> Segment:
    flags, rewards = np.zeros(3, bool), np.full(3, number, np.float32)
    return Segment(rewards[:, None], rewards, rewards, flags, flags, Provenance("Test-v0", 0, number, 0))


def test_an_annotator_who_always_presses_left_gets_a_warning(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["annotators", str(run.path)]) == 0
    shown = capsys.readouterr().out
    careful = next(line for line in shown.splitlines() if line.startswith("careful"))
    # 120 answers of 3 s, 60 repeats that all agree, no side preferred.
    assert careful.split()[:5] == ["careful", "120", "3.0", "60", "100%"]
    assert "50%" in careful
    assert "! lazy: the answers look random" in shown
    assert "! lazy: 100% of the answers go to the clip shown first" in shown.replace("\n", " ")
    assert "! careful" not in shown


def test_a_run_without_answers_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDir.create(tmp_path / "run", RunConfig())
    Store.open(run.store, create=True).close()
    assert main(["annotators", str(run.path)]) == 1
    assert "no answers yet" in capsys.readouterr().err


def test_a_few_answers_give_no_warning() -> None:
    answers = [Answer((f"{n}a", f"{n}b"), (1, 2), "new") for n in range(4)]
    assert annotator_diagnostics(annotator_reports(answers)["new"]) == []


def test_names_are_not_interpreted_as_markup(
    run: RunDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with Store.open(run.store) as store:
        store.add_comparisons([Comparison(1, (1, 2), "[red]bob[/]")])
    assert main(["annotators", str(run.path)]) == 0
    assert "[red]bob[/]" in capsys.readouterr().out
