"""Chosen and rejected: HH-RLHF's transcripts and TRL's forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.text.rankings import Pair, Ranking, RankingFileError, load_rankings
from prefrl.text.rankings.transcripts import split_at_word, split_transcripts

QUESTION = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Capital of France?\n\nAssistant:"
RowsFile = Callable[..., Path]


def hh(chosen: str, rejected: str) -> dict[str, str]:
    return {"chosen": chosen, "rejected": rejected}


def says(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


# HH-RLHF


def test_a_pair_of_transcripts_parts_after_its_last_turn_in_common(rows_file: RowsFile) -> None:
    path = rows_file(hh(f"{QUESTION} Paris.", f"{QUESTION} Pa is a dad."), name="hh.jsonl")
    assert load_rankings(path) == [Ranking(QUESTION, (" Paris.", " Pa is a dad."), (1, 2), None, "hh.jsonl")]


def test_equal_transcripts_tie(rows_file: RowsFile) -> None:
    (ranking,) = load_rankings(rows_file(hh(f"{QUESTION} Paris.", f"{QUESTION} Paris.")))
    assert ranking == Ranking(QUESTION, (" Paris.", " Paris."), (1, 1), None, "rows.jsonl")


def test_an_empty_reply_and_one_of_two_turns_are_replies(rows_file: RowsFile) -> None:
    (ranking,) = load_rankings(rows_file(hh(f"{QUESTION} Wait.\n\nAssistant: Paris.", QUESTION)))
    assert list(ranking.pairs()) == [Pair(" Wait.\n\nAssistant: Paris.", "")]


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("\n\nHuman: A?\n\nAssistant: a", "\n\nHuman: B?\n\nAssistant: b", "no common beginning"),
        ("\n\nHuman: A?", "\n\nHuman: A?", "no common beginning"),
        (f"{QUESTION} Paris.\n\nHuman: Thanks", f"{QUESTION} Rome.", "turn follows"),
        (f"{QUESTION} Paris.\n\nHuman: Thanks", f"{QUESTION} Paris.\n\nHuman: Thanks", "turn follows"),
        (f"{QUESTION} P.\n\nHuman: x\n\nAssistant: y", f"{QUESTION} P.\n\nHuman: z\n\nAssistant: y", "turn"),
    ],
)
def test_pairs_of_different_conversations_are_odd(
    rows_file: RowsFile, chosen: str, rejected: str, reason: str
) -> None:
    path = rows_file(hh(f"{QUESTION} Paris.", f"{QUESTION} Rome."), hh(chosen, rejected))
    with pytest.raises(RankingFileError, match=rf"1 of .* beside 1 rankings: line 2: .*{reason}.*'skip'"):
        load_rankings(path)
    with pytest.warns(UserWarning, match=rf"1 of .* beside 1 rankings: line 2: .*{reason}.*left out"):
        rankings = load_rankings(path, odd_rows="skip")
    assert [ranking.responses for ranking in rankings] == [(" Paris.", " Rome.")]


def test_odd_rows_are_counted_and_the_first_named(rows_file: RowsFile) -> None:
    good, odd = hh(f"{QUESTION} Paris.", f"{QUESTION} Rome."), hh("\n\nHuman: A", "\n\nHuman: B")
    path = rows_file(odd, good, odd, good, odd, odd, odd)
    with pytest.raises(RankingFileError) as caught:
        load_rankings(path)
    message = str(caught.value)
    assert message.count(str(path)) == 1
    assert "5 of its rows or prompts rank nothing, beside 2 rankings: line 1: " in message
    assert all(f"; line {number}: " in message for number in (3, 5))
    assert "(and 2 more)" in message
    assert "line 6" not in message


def test_a_file_of_odd_rows_alone_is_an_error_however_they_are_treated(rows_file: RowsFile) -> None:
    with pytest.raises(RankingFileError, match=r"beside 0 rankings: .* another file or format"):
        load_rankings(rows_file(hh("\n\nHuman: A", "\n\nHuman: B")), odd_rows="skip")


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


WITHIN_A_TURN = TEXT.filter(lambda text: "\n\n" not in text)


@given(TEXT, WITHIN_A_TURN, WITHIN_A_TURN)
def test_transcripts_are_split_without_loss(question: str, chosen: str, rejected: str) -> None:
    prompt = f"\n\nHuman: {question}\n\nAssistant:"
    assert split_transcripts(prompt + chosen, prompt + rejected) == (prompt, chosen, rejected)


# TRL


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"prompt": "The sky is", "chosen": " blue.", "rejected": " green.", "id": 3, "other": None},
            Ranking("The sky is", (" blue.", " green."), (1, 2), "3", "rows.jsonl"),
        ),
        (
            {"prompt": "p", "chosen": "same", "rejected": "same", "id": "x", "source": "crowd"},
            Ranking("p", ("same", "same"), (1, 1), "x", "crowd"),
        ),
        (
            {"chosen": "The sky is  blue.", "rejected": "The sky is  black."},
            Ranking("The sky is", ("  blue.", "  black."), (1, 2), None, "rows.jsonl"),
        ),
        (
            {
                "prompt": [says("system", "Be brief."), says("user", "Capital of France?")],
                "chosen": [says("assistant", "Paris.")],
                "rejected": [says("assistant", "Lyon.")],
            },
            Ranking(
                "\n\nSystem: Be brief.\n\nHuman: Capital of France?\n\nAssistant:",
                (" Paris.", " Lyon."),
                (1, 2),
                None,
                "rows.jsonl",
            ),
        ),
        (
            {
                "chosen": [says("user", "Capital?"), says("assistant", "Paris.")],
                "rejected": [says("user", "Capital?"), says("assistant", "Parma.")],
            },
            Ranking("\n\nHuman: Capital?\n\nAssistant:", (" Paris.", " Parma."), (1, 2), None, "rows.jsonl"),
        ),
    ],
)
def test_each_form_of_trl(rows_file: RowsFile, row: dict[str, Any], expected: Ranking) -> None:
    assert load_rankings(rows_file(row)) == [expected]
    assert load_rankings(rows_file(row), "trl") == [expected]


def test_transcripts_without_a_prompt_are_taken_as_such_by_either_name(rows_file: RowsFile) -> None:
    path = rows_file(hh(f"{QUESTION} Yes it is.", f"{QUESTION} Yes it was."))
    assert load_rankings(path, "trl") == load_rankings(path, "hh")


USER = [says("user", "Hi")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "p", "chosen": "a"}, "field 'rejected' is missing, found 'prompt', 'chosen'; every"),
        ({"prompt": "p", "chosen": 3, "rejected": "b"}, "'chosen' is int 3; give a text in quotes"),
        ({"prompt": None, "chosen": "a", "rejected": "b"}, "'prompt' is null; give a text"),
        ({"prompt": USER, "chosen": "a", "rejected": "b"}, r"'prompt' is list \["),
        ({"prompt": "p", "chosen": USER, "rejected": "b"}, "'rejected' is str 'b'; give a list"),
        ({"prompt": "", "chosen": "a", "rejected": "b"}, "line 1: the prompt '' is empty"),
        ({"prompt": "p", "chosen": "a", "rejected": "b", "id": [1]}, r"'id' is list \[1\]"),
        ({"prompt": "p", "chosen": "a", "rejected": "b", "source": 1}, "'source' is int 1"),
        ({"prompt": "p", "chosen": "\ud800", "rejected": "b"}, "half a surrogate pair"),
        ({"chosen": "same text", "rejected": "same text"}, "same text, which does not tell where its prompt"),
        ({"chosen": "Yes, it is", "rejected": "Yet, it is"}, "begin with different words"),
        ({"chosen": USER, "rejected": ["Hi"]}, r"'rejected\[0\]' is str 'Hi'; give a message"),
        ({"chosen": [{"role": "user"}], "rejected": USER}, r"chosen\[0\]: field 'content' is missing"),
        ({"chosen": [says("tool", "x")], "rejected": USER}, "'role' is str 'tool'; give one of user, assist"),
        ({"chosen": USER, "rejected": USER}, "no common beginning"),
        ({"prompt": USER, "chosen": USER, "rejected": USER}, "does not begin with one of the assistant"),
        ({"prompt": USER, "chosen": [], "rejected": []}, "does not begin with one of the assistant"),
        (
            {"prompt": [], "chosen": [says("assistant", "a")], "rejected": [says("assistant", "b")]},
            "the prompt has no message",
        ),
        (
            {"prompt": USER, "chosen": [says("assistant", "a"), *USER], "rejected": [says("assistant", "b")]},
            "a .* turn follows",
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_told(rows_file: RowsFile, row: dict[str, Any], message: str) -> None:
    path = rows_file(row)
    with pytest.raises(RankingFileError, match=message) as caught:
        load_rankings(path, "trl")
    assert str(caught.value).startswith(f"{path}")
    assert "line 1" in str(caught.value)


def test_a_field_of_another_type_is_no_odd_row(rows_file: RowsFile) -> None:
    path = rows_file({"prompt": "p", "chosen": "a", "rejected": "b"}, {"prompt": "p", "chosen": "a"})
    with pytest.raises(RankingFileError, match="line 2: field 'rejected' is missing"):
        load_rankings(path, odd_rows="skip")


@given(TEXT, TEXT)
def test_a_shared_prompt_ends_with_a_whole_word(chosen: str, rejected: str) -> None:
    words = "It is"
    if chosen == rejected:
        return
    prompt, *rests = split_at_word(f"{words} {chosen}", f"{words} {rejected}")
    assert prompt.startswith(words)
    assert prompt == prompt.rstrip()
    assert [prompt + rest for rest in rests] == [f"{words} {chosen}", f"{words} {rejected}"]
    assert all(not rest or rest[0].isspace() for rest in rests)
