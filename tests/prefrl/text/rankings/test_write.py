"""What is written is read back the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.text.rankings import (
    Pair,
    Ranking,
    RankingFileError,
    load_rankings,
    write_hh,
    write_k_wise,
    write_trl,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WITHIN_A_TURN = TEXT.filter(lambda text: "\n\n" not in text)
PROMPT = TEXT.filter(str.strip)
TRANSCRIPT = WITHIN_A_TURN.map(lambda text: f"\n\nHuman: {text}\n\nAssistant:")


@st.composite
def rankings(
    draw: st.DrawFn, prompts: st.SearchStrategy[str] = PROMPT, texts: st.SearchStrategy[str] = TEXT
) -> Ranking:
    responses = tuple(draw(st.lists(texts, min_size=2, max_size=5, unique=True)))
    drawn = draw(st.lists(st.integers(1, 4), min_size=len(responses), max_size=len(responses)))
    ranks = tuple(rank - min(drawn) + 1 for rank in drawn)
    return Ranking(draw(prompts), responses, ranks, draw(st.none() | TEXT), draw(TEXT))


def pairs_of(found: list[Ranking]) -> list[tuple[str, Pair]]:
    return [(ranking.prompt, pair) for ranking in found for pair in ranking.pairs()]


@settings(deadline=None)
@given(st.lists(rankings(), min_size=1, max_size=3), st.sampled_from(["r.jsonl", "r.jsonl.gz"]))
def test_k_responses_come_back_whole(
    tmp_path_factory: pytest.TempPathFactory, written: list[Ranking], name: str
) -> None:
    path = tmp_path_factory.mktemp("k_wise") / name
    assert write_k_wise(path, written) == len(written)
    assert load_rankings(path) == written


@settings(deadline=None)
@given(st.lists(rankings(), min_size=1, max_size=3))
def test_pairs_come_back(tmp_path_factory: pytest.TempPathFactory, written: list[Ranking]) -> None:
    path = tmp_path_factory.mktemp("trl") / "r.jsonl"
    pairs = pairs_of(written)
    if not pairs:
        with pytest.raises(RankingFileError, match="at least one ranking that is no tie"):
            write_trl(path, written)
        return
    assert write_trl(path, written) == len(pairs)
    read = load_rankings(path)
    assert pairs_of(read) == pairs
    assert {(ranking.id, ranking.source) for ranking in read} <= {
        (ranking.id, ranking.source) for ranking in written
    }


@settings(deadline=None)
@given(st.lists(rankings(TRANSCRIPT, WITHIN_A_TURN), min_size=1, max_size=3))
def test_transcripts_come_back(tmp_path_factory: pytest.TempPathFactory, written: list[Ranking]) -> None:
    path = tmp_path_factory.mktemp("hh") / "r.jsonl"
    if pairs := pairs_of(written):
        assert write_hh(path, written) == len(pairs)
        assert pairs_of(load_rankings(path)) == pairs


def test_rows_by_hand(tmp_path: Path) -> None:
    ranking = Ranking("p", ("a", "b", "c"), (2, 1, 2), "7", "here")
    path = tmp_path / "r.jsonl"

    def rows() -> list[dict[str, object]]:
        return [json.loads(line) for line in path.read_text().splitlines()]

    write_k_wise(path, [ranking])
    assert rows() == [
        {"prompt": "p", "responses": ["a", "b", "c"], "ranks": [2, 1, 2], "id": "7", "source": "here"}
    ]
    assert write_trl(path, [ranking]) == 2
    assert rows() == [
        {"prompt": "p", "chosen": "b", "rejected": "a", "id": "7", "source": "here"},
        {"prompt": "p", "chosen": "b", "rejected": "c", "id": "7", "source": "here"},
    ]
    assert write_hh(path, [ranking]) == 2
    assert rows() == [
        {"chosen": "\n\nHuman: p\n\nAssistant: b", "rejected": "\n\nHuman: p\n\nAssistant: a"},
        {"chosen": "\n\nHuman: p\n\nAssistant: b", "rejected": "\n\nHuman: p\n\nAssistant: c"},
    ]


def test_a_plain_prompt_comes_back_as_the_first_turn(tmp_path: Path) -> None:
    write_hh(tmp_path / "r.jsonl", [Ranking("Capital?", ("Rome", "Paris"), (2, 1))])
    assert load_rankings(tmp_path / "r.jsonl") == [
        Ranking("\n\nHuman: Capital?\n\nAssistant:", (" Paris", " Rome"), (1, 2), None, "r.jsonl")
    ]


@pytest.mark.parametrize(
    "responses",
    [("a\n\nAssistant: b", "a\n\nAssistant: c"), ("a\n\nHuman: thanks", "b"), ("b", "a\n\nHuman: thanks")],
)
def test_responses_with_turns_within_are_not_written_as_transcripts(
    tmp_path: Path, responses: tuple[str, str]
) -> None:
    ranking = Ranking("p", responses, (1, 2))
    with pytest.raises(ValueError, match=r"responses to 'p' have turns .* write them with write_trl"):
        write_hh(tmp_path / "r.jsonl", [ranking])
    assert list(tmp_path.iterdir()) == []
    write_trl(tmp_path / "r.jsonl", [ranking])
    assert pairs_of(load_rankings(tmp_path / "r.jsonl")) == pairs_of([ranking])
