"""Real judgments, whole. The files are not part of the project: tests skip where they are absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prefrl.text.rankings import (
    OrderAgreement,
    length_baseline,
    length_matched,
    load_rankings,
    order_agreement,
    split_by_prompt,
    write_hh,
    write_k_wise,
)

RealFile = Callable[[str], Path]


def test_hh_rlhf_is_loaded_whole(real_file: RealFile, tmp_path: Path) -> None:
    rankings = load_rankings(real_file("hh_helpful_pairs.jsonl.gz"))
    assert len(rankings) == 2352
    assert all(ranking.prompt.startswith("\n\nHuman:") for ranking in rankings)
    assert all(ranking.prompt.endswith("\n\nAssistant:") for ranking in rankings)
    assert not any(ranking.is_tie for ranking in rankings)
    assert sum(not response.strip() for ranking in rankings for response in ranking.responses) == 4
    assert rankings[0].prompt == (
        "\n\nHuman: Do you know why turkeys became the official food of thanksgiving?\n\nAssistant:"
    )
    assert rankings[0].responses[0].startswith(" To be honest, I")

    assert write_hh(tmp_path / "again.jsonl.gz", rankings) == 2352
    again = load_rankings(tmp_path / "again.jsonl.gz")
    assert [ranking.responses for ranking in again] == [ranking.responses for ranking in rankings]


@pytest.mark.parametrize(
    ("criterion", "ties", "pairs"),
    [("informativeness", 102, 421), ("naturalness", 263, 75), ("quality", 201, 212)],
)
def test_rankme_is_loaded_by_criterion(real_file: RealFile, criterion: str, ties: int, pairs: int) -> None:
    path = real_file("rankme_k3.jsonl.gz")
    rankings = load_rankings(path, criterion=criterion)
    assert [len(ranking.responses) for ranking in rankings] == [3] * 300
    assert sum(ranking.is_tie for ranking in rankings) == ties
    assert sum(len(list(ranking.pairs())) for ranking in rankings) == pairs
    wider = load_rankings(path, criterion=criterion, tie_below=20)
    assert sum(ranking.is_tie for ranking in wider) > ties


def test_rankme_names_its_criteria(real_file: RealFile) -> None:
    with pytest.raises(ValueError, match="criteria 'informativeness', 'naturalness', 'quality'; choose"):
        load_rankings(real_file("rankme_k3.jsonl.gz"))


def test_the_longer_wins_in_three_quarters_of_the_debates(real_file: RealFile) -> None:
    pairs = load_rankings(real_file("ukp_pairs.jsonl.gz"))
    accuracy, count = length_baseline(pairs)
    assert count == len(pairs) == 5735
    assert 0.76 < accuracy < 0.79

    matched = length_matched(pairs, 0.1)
    assert len(matched) == 513
    assert length_baseline(matched)[0] < 0.6
    train, validation = split_by_prompt(pairs, 0.2)
    assert len({ranking.prompt for ranking in train}) + len({ranking.prompt for ranking in validation}) == 16


def test_the_rank_of_a_debate_s_argument_is_better_low(real_file: RealFile) -> None:
    pairs = load_rankings(real_file("ukp_pairs.jsonl.gz"))
    path = real_file("ukp_rankings.jsonl.gz")
    rankings = load_rankings(path)
    assert len(rankings) == 15
    # 488 rows, of which 9 repeat a text
    assert sum(len(ranking.responses) for ranking in rankings) == 479

    agreement = order_agreement(rankings, pairs)
    assert agreement == OrderAgreement(same=4947, opposite=405, tied=4, missing=379)
    assert agreement.share > 0.92
    assert order_agreement(load_rankings(path, higher_is_better=True), pairs).share < 0.08


def test_rankings_are_drawn_from_the_debates(real_file: RealFile, tmp_path: Path) -> None:
    rankings = load_rankings(real_file("ukp_rankings.jsonl.gz"), items=4)
    assert len(rankings) == 114
    assert {len(ranking.responses) for ranking in rankings} == {4}
    write_k_wise(tmp_path / "drawn.jsonl", rankings)
    assert load_rankings(tmp_path / "drawn.jsonl") == rankings
