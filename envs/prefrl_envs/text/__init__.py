"""Text as an environment: an episode is one response to one prompt, an action one token, the reward comes at the end.

`TextTask` says what is asked and what an answer is worth; `TextGenEnv` and `TextGenVectorEnv` play any task.
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
