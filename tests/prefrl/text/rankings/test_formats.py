"""Recognising formats, refusing options, and what random files do."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.text.rankings import RankingFileError, load_rankings

RowsFile = Callable[..., Path]
PAIR = {"prompt": "p", "chosen": "a", "rejected": "b"}
ROWS = {
    "hh": {"chosen": "\n\nHuman: p\n\nAssistant: a", "rejected": "\n\nHuman: p\n\nAssistant: b"},
    "trl": PAIR,
    "k_wise": {"prompt": "p", "responses": ["a", "b"], "ranks": [1, 2]},
}


@pytest.mark.parametrize("name", list(ROWS))
def test_the_format_is_recognised(rows_file: RowsFile, name: Any) -> None:
    path = rows_file(ROWS[name])
    assert load_rankings(path) == load_rankings(path, name)


def test_fields_of_no_format_are_listed(rows_file: RowsFile) -> None:
    with pytest.raises(
        RankingFileError, match=r"line 1: the fields 'question', 'answers' are of no known format"
    ):
        load_rankings(rows_file({"question": "p", "answers": ["a", "b"]}))
    with pytest.raises(RankingFileError, match="the fields none are of no known format"):
        load_rankings(rows_file({}))


def test_a_format_that_is_given_is_held_to(rows_file: RowsFile) -> None:
    with pytest.raises(
        RankingFileError, match="field 'responses' is missing, found 'prompt', 'chosen', 'reje"
    ):
        load_rankings(rows_file(PAIR), "k_wise")
    with pytest.raises(RankingFileError, match="no common beginning"):
        load_rankings(rows_file(PAIR), "hh")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "csv"}, "format is 'csv'; it must be one of 'auto', 'hh', 'trl', 'k_wise', 'long'"),
        ({"odd_rows": "maybe"}, "odd_rows is 'maybe'; it must be one of 'strict', 'skip'"),
        ({"criterion": "truth"}, "the format 'trl' has no use for 'criterion'; leave it out"),
        ({"items": 2, "tie_below": 0.5}, "has no use for 'items', 'tie_below'"),
        ({"higher_is_better": False}, "no use for 'higher_is_better'"),
        ({"items": 1}, "items is 1"),
        ({"tie_below": -0.5}, "tie_below is -0.5"),
    ],
)
def test_options_without_use_are_refused(rows_file: RowsFile, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_rankings(rows_file(PAIR), **options)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats()
    | st.sampled_from(["", "a", "a b", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content"]), inner),
    max_leaves=6,
)
NAMES = ("prompt", "chosen", "rejected", "responses", "ranks", "scores", "response", "score", "id", "source")


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES), max_size=3), st.sampled_from(["auto", *ROWS])
)
def test_any_rows_give_rankings_or_an_error_that_names_the_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], name: Any
) -> None:
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            rankings, message = load_rankings(path, name, odd_rows="skip"), ""
        except RankingFileError as error:
            rankings, message = [], str(error)
    assert rankings or message.startswith(str(path))
