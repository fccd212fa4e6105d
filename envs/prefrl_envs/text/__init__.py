"""Text environments: an episode is one response to one prompt, an action is one token, the reward comes at the end.

A `TextTask` gives prompts and rewards; `TextGenEnv` and `TextGenVectorEnv` are environments of any task.
"""

from __future__ import annotations

from prefrl_envs.text.hub_tokenizer import HubTokenizer
from prefrl_envs.text.space import TextSpace, encode_observation
from prefrl_envs.text.task import TextTask
from prefrl_envs.text.text_gen import TextGenEnv
from prefrl_envs.text.text_vector import TextGenVectorEnv
from prefrl_envs.text.tokenizers import ByteTokenizer, Tokenizer, WordTokenizer

__all__ = [
    "ByteTokenizer",
    "HubTokenizer",
    "TextGenEnv",
    "TextGenVectorEnv",
    "TextSpace",
    "TextTask",
    "Tokenizer",
    "WordTokenizer",
    "encode_observation",
]
