"""Conversations as one text, and where its prompt ends: the layout of HH-RLHF (Bai et al. 2022).

A transcript is a sequence of turns that begin with "\\n\\nHuman:" or "\\n\\nAssistant:". Its prompt ends right
after the "\\n\\nAssistant:" whose reply was judged, so a response begins with the space behind the colon.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

__all__ = [
    "ASSISTANT",
    "HUMAN",
    "SPEAKERS",
    "as_transcript",
    "check_reply",
    "split_at_word",
    "split_transcripts",
]

HUMAN = "\n\nHuman:"
ASSISTANT = "\n\nAssistant:"
SPEAKERS = {"user": "Human", "assistant": "Assistant", "system": "System"}
"""who speaks in a transcript, by the role of a message"""


def as_transcript(messages: Iterable[tuple[str, str]]) -> str:
    """The transcript of messages, each a role of `SPEAKERS` and what was said."""
    return "".join(f"\n\n{SPEAKERS[role]}: {content}" for role, content in messages)


def split_transcripts(chosen: str, rejected: str) -> tuple[str, str, str]:
    """The prompt that two transcripts share, and the reply of each.

    The prompt is the longest common beginning that ends in an "\\n\\nAssistant:".

    Raises:
        ValueError: when there is no such beginning, or a person speaks after it: then it is not two replies
            to one prompt that were compared.
    """
    shared = chosen[: _shared_length(chosen, rejected)]
    before, marker, _ = shared.rpartition(ASSISTANT)
    if not marker:
        raise ValueError("chosen and rejected have no common beginning that ends in '\\n\\nAssistant:'")
    prompt = before + marker
    replies = chosen[len(prompt) :], rejected[len(prompt) :]
    for reply in replies:
        check_reply(reply)
    return prompt, *replies


def check_reply(reply: str) -> None:
    """Raise ValueError when a reply goes on with a turn of the person who is replied to."""
    if HUMAN in reply:
        raise ValueError("a '\\n\\nHuman:' turn follows what chosen and rejected have in common")


def split_at_word(chosen: str, rejected: str) -> tuple[str, str, str]:
    """The prompt that two texts share and the rest of each; the prompt ends with a whole word.

    Raises:
        ValueError: when they share no word, or are the same.
    """
    if chosen == rejected:
        raise ValueError("chosen and rejected are the same text, which does not tell where its prompt ends")
    shared = chosen[: _shared_length(chosen, rejected)]
    if _is_within_word(chosen, len(shared)) or _is_within_word(rejected, len(shared)):
        shared = shared[: -len(shared.split()[-1])]
    prompt = shared.rstrip()
    if not prompt:
        raise ValueError("chosen and rejected begin with different words, so they have no prompt in common")
    return prompt, chosen[len(prompt) :], rejected[len(prompt) :]


def _is_within_word(text: str, position: int) -> bool:
    return 0 < position < len(text) and not text[position].isspace() and not text[position - 1].isspace()


def _shared_length(first: str, second: str) -> int:
    # halving compares whole stretches at a time: a loop over the characters takes minutes for a large file
    lengths = range(1, min(len(first), len(second)) + 1)
    return bisect.bisect_left(lengths, True, key=lambda length: first[:length] != second[:length])
