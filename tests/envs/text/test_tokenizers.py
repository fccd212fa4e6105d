from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl_envs.text import ByteTokenizer, Tokenizer, WordTokenizer

WORDS = ("good", "bad", "très", "1")


@given(text=st.text())
def test_byte_tokens_round_trip_for_any_text(text: str) -> None:
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(0 <= token < 256 for token in ids)


@given(ids=st.lists(st.integers(0, 257)))
def test_any_byte_tokens_can_be_decoded(ids: list[int]) -> None:
    tokenizer = ByteTokenizer()
    text = tokenizer.decode(ids)
    assert text == tokenizer.decode([token for token in ids if token < 256])
    tokenizer.encode(text)


def test_bytes_by_hand() -> None:
    tokenizer = ByteTokenizer()
    assert (tokenizer.vocab_size, tokenizer.pad_id, tokenizer.eos_id) == (258, 256, 257)
    assert tokenizer.encode("aé") == [97, 0xC3, 0xA9]
    assert tokenizer.decode([97, 0xC3, 257, 98]) == "a\N{REPLACEMENT CHARACTER}b"


def test_half_a_surrogate_pair_cannot_be_encoded() -> None:
    with pytest.raises(ValueError, match=r"character '\\ud800' at position 2 has no UTF-8 bytes"):
        ByteTokenizer().encode("ab\ud800")


@given(ids=st.lists(st.integers(0, len(WORDS) + 1)))
def test_word_tokens_round_trip_for_any_ids(ids: list[int]) -> None:
    tokenizer = WordTokenizer(WORDS)
    assert tokenizer.encode(tokenizer.decode(ids)) == [token for token in ids if token < len(WORDS)]


def test_words_by_hand() -> None:
    tokenizer = WordTokenizer(WORDS)
    assert (tokenizer.vocab_size, tokenizer.pad_id, tokenizer.eos_id) == (6, 4, 5)
    assert tokenizer.encode("bad  très\ngood") == [1, 2, 0]
    assert tokenizer.decode([1, 4, 3, 5]) == "bad 1"
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "words is empty"),
        (["a", "b", "a"], "word 'a' is listed twice"),
        (["a", ""], "word '' is empty or holds white space"),
        (["a b"], "word 'a b' is empty or holds white space"),
        (["a\n"], r"word 'a\\n' is empty or holds white space"),
    ],
)
def test_invalid_word_lists_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WordTokenizer(words)


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(ValueError, match="word 'ugly' is none of the 4 known, which are good, bad, très, 1"):
        WordTokenizer(WORDS).encode("good ugly")
    with pytest.raises(ValueError, match=r"none of the 6 known, such as a, b, c, d, e$"):
        WordTokenizer("abcdef").encode("x")


def test_both_implement_the_tokenizer_protocol() -> None:
    assert isinstance(ByteTokenizer(), Tokenizer)
    assert isinstance(WordTokenizer("a"), Tokenizer)
    assert not isinstance(str, Tokenizer)
