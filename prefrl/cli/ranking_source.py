"""A file of rankings as comparisons to learn a reward from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefrl.cli.comparison_source import SavedAnswers
from prefrl.cli.text_models import open_text_model
from prefrl.config import RewardConfig
from prefrl.oracles import Rule
from prefrl.rankings import load_rankings
from prefrl.rankings.queries import TokenRankings
from prefrl.spaces import SpaceSpec
from prefrl.store import Store
from prefrl_envs.text import ByteTokenizer, Tokenizer

__all__ = ["RankingSource"]


@dataclass(frozen=True)
class RankingSource:
    """Rankings in a file, as `prefrl.cli.comparison_source.ComparisonSource` has those of a run."""

    path: Path
    tokens: TokenRankings
    reward: RewardConfig
    room: int | None
    """longest text that the checkpoint takes; None where the model is made for these texts alone"""
    seed: int = 0

    @classmethod
    def open(cls, path: Path, reward: RewardConfig) -> RankingSource:
        """Read the file; its tokens are those of the checkpoint that ``reward`` names, bytes where it names a size.

        Raises:
            ValueError: when it cannot be read, holds ties alone, or a text has a part without a token.
        """
        rankings = load_rankings(path)
        if all(ranking.is_tie for ranking in rankings):
            raise ValueError(f"{path} holds no ranking but ties, of which nothing can be learned")
        tokenizer, room = _tokens_of(reward.language_model)
        encoded = TokenRankings.of(rankings, tokenizer.encode, tokenizer.vocab_size, tokenizer.eos_id)
        encoded.specs(room)
        return cls(path, encoded, reward, room)

    def specs(self) -> tuple[SpaceSpec, SpaceSpec]:
        """How observations and actions are laid out."""
        return self.tokens.specs(self.room)

    @contextmanager
    def answers(self, newest: int, rule: Rule | None = None) -> Iterator[SavedAnswers]:
        """The ``newest`` answers, while the context lasts."""
        with (
            tempfile.TemporaryDirectory(prefix="prefrl-") as folder,
            Store.open(Path(folder) / "store.sqlite", create=True) as store,
        ):
            labelled = self.tokens.labelled(self.specs()[0])
            segments = [segment for item in labelled for segment in item.query.segments]
            store.add_segments(segments, keep_unqueried=len(segments))
            store.add_queries([item.query for item in labelled])
            store.add_comparisons([item.comparison for item in labelled])
            yield SavedAnswers(store, newest, rule)


def _tokens_of(language_model: str) -> tuple[Tokenizer, int | None]:
    """Tokenizer and longest text of a checkpoint; for a size, bytes and whatever is needed."""
    from prefrl.language import SIZES

    if language_model in SIZES:
        return ByteTokenizer(), None
    texts = open_text_model(language_model)
    return texts.tokenizer, texts.model.max_tokens
