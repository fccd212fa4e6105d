"""Reading files of rankings: what is used, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prefrl.cli.text_data import check_validation_fraction, encode_rankings, read_rankings, within_room
from prefrl.text.rankings import Ranking
from prefrl_envs.text import ByteTokenizer

SHORT = Ranking("ab", ("c", "de"), (1, 2))
LONG = Ranking("ab", ("c", "defg", ""), (1, 2, 2))
"""7 tokens: 2 of the prompt, 4 of the response, and the end token"""


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_odd_rows_are_refused_or_left_out_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"prompt": "Where?", "responses": ["Here.", "There."], "ranks": [1, 2]}
    path = write(tmp_path / "ranked.jsonl", good, {**good, "responses": ["Here.", "Here."]})
    with pytest.raises(ValueError, match=r"odd_rows='skip' \(--odd-rows skip\)"):
        read_rankings(path, "strict", None)
    (ranking,) = read_rankings(path, "skip", None)
    assert ranking.responses == ("Here.", "There.")
    printed = capsys.readouterr().err
    assert printed.startswith(f"prefrl: {path}: 1 of its rows")
    assert printed.endswith("they are left out\n")


def test_the_criterion_chooses_the_scores(tmp_path: Path) -> None:
    scores = {"truth": [1, 2], "style": [2, 1]}
    path = write(
        tmp_path / "k.jsonl", {"prompt": "Where?", "responses": ["Here.", "There."], "scores": scores}
    )
    with pytest.raises(ValueError, match=r"choose one of them as criterion \(--criterion\)"):
        read_rankings(path, "strict", None)
    assert read_rankings(path, "strict", "truth")[0].ranks == (2, 1)
    assert read_rankings(path, "strict", "style")[0].ranks == (1, 2)


def test_the_length_of_a_ranking_is_that_of_its_longest_text_with_the_end_token() -> None:
    tokens, left_out = encode_rankings([SHORT, LONG], ByteTokenizer(), 7, skip_long=False)
    assert (list(tokens.rankings), left_out) == ([SHORT, LONG], 0)
    with pytest.raises(
        ValueError, match=r"have 7 tokens, the model takes 6; leave such texts out with --skip"
    ):
        encode_rankings([SHORT, LONG], ByteTokenizer(), 6, skip_long=False)


def test_long_rankings_are_left_out_with_all_their_tokens() -> None:
    tokens, left_out = encode_rankings([LONG, SHORT], ByteTokenizer(), 6, skip_long=True)
    assert (list(tokens.rankings), left_out) == ([SHORT], 1)
    assert tokens.prompts == [[97, 98]]
    assert tokens.responses == [[[99, 257], [100, 101, 257]]]
    assert tokens.max_tokens == 5
    nothing, left_out = encode_rankings([LONG], ByteTokenizer(), 6, skip_long=True)
    assert (list(nothing.rankings), left_out) == ([], 1)


def test_without_a_limit_all_texts_are_taken() -> None:
    tokens, left_out = encode_rankings([SHORT, LONG], ByteTokenizer(), None, skip_long=False)
    assert (len(tokens.rankings), left_out) == (2, 0)


def test_within_room_gives_the_indices_of_texts_that_fit() -> None:
    assert within_room([3, 5, 4, 6], 4, skip_long=True) == [0, 2]
    assert within_room([], 4, skip_long=False) == []
    with pytest.raises(ValueError, match="have 6 tokens, the model takes 4"):
        within_room([3, 5, 4, 6], 4, skip_long=False)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_invalid_validation_fractions_are_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=f"--validation-fraction is {fraction}; a share"):
        check_validation_fraction(fraction)
