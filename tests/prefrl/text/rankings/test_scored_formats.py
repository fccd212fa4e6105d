"""K responses a row, and one response a row."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.text.rankings import Ranking, RankingFileError, load_rankings

RowsFile = Callable[..., Path]
ABC = ("a", "b", "c")


def k_wise(**fields: Any) -> dict[str, Any]:
    return {"prompt": "p", "responses": ABC, **fields}


def long(response: str, score: Any, prompt: str = "p", **fields: Any) -> dict[str, Any]:
    return {"prompt": prompt, "response": response, "score": score, **fields}


# K responses a row


@pytest.mark.parametrize(
    ("fields", "options", "ranks"),
    [
        ({"ranks": [2, 1, 2]}, {}, (2, 1, 2)),
        ({"ranks": [1, 3, 3]}, {}, (1, 3, 3)),
        ({"scores": [0.5, 2, -1.5]}, {}, (2, 1, 3)),
        ({"scores": [0.5, 2, -1.5]}, {"tie_below": 1.6}, (1, 1, 2)),
        ({"scores": {"fluency": [1, 1, 0], "truth": [0, 1, 2]}}, {"criterion": "fluency"}, (1, 1, 2)),
        ({"scores": {"fluency": [1, 1, 0], "truth": [0, 1, 2]}}, {"criterion": "truth"}, (3, 2, 1)),
        ({"scores": [1, 2, 3], "ranks": [1, 2, 3]}, {}, (1, 2, 3)),
        ({"scores": {"truth": [1, 2, 3]}, "ranks": [1, 2, 3]}, {"criterion": "truth"}, (3, 2, 1)),
    ],
)
def test_ranks_or_scores_of_k_responses(
    rows_file: RowsFile, fields: dict[str, Any], options: dict[str, Any], ranks: tuple[int, ...]
) -> None:
    path = rows_file(k_wise(id="q1", **fields))
    assert load_rankings(path, **options) == [Ranking("p", ABC, ranks, "q1", "rows.jsonl")]


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        (k_wise(), {}, "field 'scores' is missing, found 'prompt', 'responses'"),
        (k_wise(scores=[1, 2, float("nan")]), {}, r"'scores\[2\]' is float nan; give a finite number"),
        (k_wise(scores=[1, float("inf"), 2]), {}, r"'scores\[1\]' is float inf"),
        (k_wise(scores=[1, 10**400, 2]), {}, r"'scores\[1\]' is int 1000"),
        (k_wise(scores=[1, True, 2]), {}, r"'scores\[1\]' is bool True"),
        (k_wise(scores="123"), {}, "'scores' is str '123'; give a list"),
        (k_wise(scores=[1, 2]), {}, "3 responses have 2 ranks or scores; each needs one"),
        (k_wise(ranks=[1, 2, 3, 4]), {}, "3 responses have 4 ranks"),
        (k_wise(ranks=[1, 2.5, 3]), {}, r"'ranks\[1\]' is float 2.5; give a whole number .* scores"),
        (k_wise(ranks=[0, 1, 2]), {}, "line 1: ranks .* of which the best is 1"),
        (k_wise(scores={"truth": [1, 2, 3]}), {}, "has the criteria 'truth'; choose one"),
        (
            k_wise(scores={"truth": [1, 2, 3]}),
            {"criterion": "x"},
            "scores: field 'x' is missing, found 'truth'",
        ),
        (k_wise(scores=[1, 2, 3]), {"criterion": "truth"}, "criterion is 'truth', but the row has one list"),
        (k_wise(responses="abc", scores=[1, 2, 3]), {}, "'responses' is str 'abc'; give a list"),
        (k_wise(responses=["a", None], scores=[1, 2]), {}, r"'responses\[1\]' is null"),
        (k_wise(responses=["a"], scores=[1]), {}, "line 1: a ranking orders at least 2 responses, got 1"),
        (k_wise(prompt=" ", scores=[1, 2, 3]), {}, "line 1: the prompt ' ' is empty"),
        (k_wise(responses=["a", "b", "a"], scores=[1, 2, 3]), {}, "same response has ranks 3 and 1"),
    ],
)
def test_what_is_wrong_with_k_responses_is_told(
    rows_file: RowsFile, row: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RankingFileError, match=message):
        load_rankings(rows_file(row), **options)


# One response a row


def test_long_rows_are_grouped_by_prompt(rows_file: RowsFile) -> None:
    path = rows_file(long("a", 1, id="x"), long("d", 5, "q"), long("b", 3, id=7), long("e", 5, "q"))
    assert load_rankings(path) == [
        Ranking("p", ("a", "b"), (2, 1), "x_7", "rows.jsonl"),
        Ranking("q", ("d", "e"), (1, 1), None, "rows.jsonl"),
    ]


@pytest.mark.parametrize(
    ("score_field", "higher_is_better", "ranks"),
    [
        ("score", None, (2, 1)),
        ("rank", None, (1, 2)),
        ("score", False, (1, 2)),
        ("rank", True, (2, 1)),
    ],
)
def test_the_name_of_the_numbers_gives_their_direction(
    rows_file: RowsFile, score_field: str, higher_is_better: bool | None, ranks: tuple[int, int]
) -> None:
    rows = [{"prompt": "p", "argument": text, score_field: number} for text, number in (("a", 0.1), ("b", 2))]
    (ranking,) = load_rankings(rows_file(*rows), higher_is_better=higher_is_better)
    assert (ranking.responses, ranking.ranks) == (("a", "b"), ranks)


def test_a_text_scored_several_times_is_one_response(rows_file: RowsFile) -> None:
    # a: (0 + 4) / 2 = 2 = c; the mean of three times .1 is .1 exactly, though their floating sum is not .3
    rows = [long("a", 0), long("b", 3), long("a", 4), long("c", 2), *[long("d", 0.1)] * 3, long("e", 0.1)]
    (ranking,) = load_rankings(rows_file(*rows))
    assert ranking.responses == ("a", "b", "c", "d", "e")
    assert ranking.ranks == (2, 1, 2, 3, 3)


def test_draws_are_disjoint_and_of_one_seed(rows_file: RowsFile) -> None:
    path = rows_file(*[long(f"{prompt}{n}", n, prompt, id=n) for prompt in "pq" for n in range(7)])
    drawn = load_rankings(path, items=3, seed=1)

    assert [ranking.prompt for ranking in drawn] == ["p", "p", "q", "q"]
    assert all(len(ranking.responses) == 3 for ranking in drawn)
    assert len({response for ranking in drawn for response in ranking.responses}) == 12
    for ranking in drawn:
        by_rank = [text for _, text in sorted(zip(ranking.ranks, ranking.responses, strict=True))]
        assert by_rank == sorted(ranking.responses, reverse=True)
        assert ranking.id == "_".join(response[1:] for response in ranking.responses)
    assert drawn == load_rankings(path, items=3, seed=1)
    assert any(drawn != load_rankings(path, items=3, seed=seed) for seed in range(2, 5))


def test_scores_of_a_draw_tie_within_the_difference_given(rows_file: RowsFile) -> None:
    path = rows_file(*[long(str(n), n) for n in range(8)])
    for ranking in load_rankings(path, items=4, tie_below=2):
        for one, other in itertools.combinations(zip(ranking.responses, ranking.ranks, strict=True), 2):
            assert one[1] == other[1] or abs(int(one[0]) - int(other[0])) >= 2
    (everything,) = load_rankings(path, tie_below=2)
    assert everything.is_tie


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([long("a", 1), {"prompt": "p", "score": 2}], "line 2: field 'response' is missing"),
        ([long("a", 1), {"prompt": "p", "response": "b", "rank": 2}], "line 2: field 'score' is missing"),
        ([long("a", 1), {"response": "b", "score": 2}], "line 2: field 'prompt' is missing"),
        ([long("a", 1), long("b", float("nan"))], "line 2: field 'score' is float nan"),
        ([long("a", 1), long("b", None)], "line 2: field 'score' is null; give a finite number"),
        ([long("a", 1, rank=1), long("b", 2, rank=2)], "exactly one of the fields 'score', 'rank' is needed"),
        ([long("a", 1, argument="b")], "exactly one of the fields 'response', 'argument'"),
        ([long("a", 1), long("b", 2), long("c", 2, "q")], "1 of .* line 3: the prompt 'q' has 1 different"),
        ([long("a", 1), long("a", 2)], "'p' has 1 different responses, a ranking needs 2"),
        ([long("a", 1, ""), long("b", 2, "")], "line 1: the prompt '' is empty"),
    ],
)
def test_what_is_wrong_with_long_rows_is_told(rows_file: RowsFile, rows: list[Any], message: str) -> None:
    with pytest.raises(RankingFileError, match=message):
        load_rankings(rows_file(*rows))


def test_a_prompt_with_too_few_responses_for_a_draw_can_be_skipped(rows_file: RowsFile) -> None:
    path = rows_file(*[long(str(n), n) for n in range(4)], long("e", 5, "q"), long("f", 5, "q"))
    with pytest.raises(RankingFileError, match="'q' has 2 different responses, a ranking needs 3"):
        load_rankings(path, items=3)
    with pytest.warns(UserWarning, match="1 of its rows or prompts"):
        (ranking,) = load_rankings(path, items=3, odd_rows="skip")
    assert ranking.prompt == "p"


def test_no_ranking_of_an_odd_prompt_is_kept(rows_file: RowsFile) -> None:
    rows = [long(text, n) for n, text in enumerate(["a", "b", "c", "\ud800"])]
    path = rows_file(*rows, long("e", 5, "q"), long("f", 5, "q"))
    with pytest.warns(UserWarning, match="surrogate"):
        (ranking,) = load_rankings(path, items=2, odd_rows="skip")
    assert ranking.prompt == "q"
