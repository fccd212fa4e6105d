"""A file of rankings as a source of comparisons that `prefrl fit` learns from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefrl.annotators import Rule
from prefrl.cli.comparison_source import SavedAnswers
from prefrl.cli.text_data import encode_rankings, read_rankings
from prefrl.cli.text_models import open_text_model
from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.reward.ranking_queries import TokenRankings
from prefrl.storage import Store
from prefrl.text.rankings import OddRows
from prefrl_envs.text import ByteTokenizer, Tokenizer

__all__ = ["RankingSource"]


_MAX_ROOM_TOKENS = 2048
"""maximum length of the texts that a reward can score, unless it is trained on longer ones"""


@dataclass(frozen=True)
class RankingSource:
    """Rankings in a file, with the interface of `prefrl.cli.comparison_source.ComparisonSource`."""

    path: Path
    tokens: TokenRankings
    reward: RewardConfig
    room: int | None
    """tokens of the longest text that the checkpoint takes; None if a new model is made to fit these texts"""
    left_out: int = 0
    """number of rankings left out because a text is longer"""
    seed: int = 0

    @classmethod
    def open(
        cls,
        path: Path,
        reward: RewardConfig,
        odd_rows: OddRows = "strict",
        criterion: str | None = None,
        skip_long: bool = False,
    ) -> RankingSource:
        """Read the file, and tokenize it as the checkpoint in ``reward`` does, or as bytes if ``reward`` names a size.

        Args:
            path: the file of rankings.
            reward: settings of the fit.
            odd_rows: see `prefrl.text.rankings.load_rankings`.
            criterion: see `prefrl.text.rankings.load_rankings`.
            skip_long: leave out rankings with a text that is too long for the checkpoint.

        Raises:
            ValueError: when the file cannot be read or holds only ties, or a text cannot be tokenized or is too long.
        """
        rankings = read_rankings(path, odd_rows, criterion)
        tokenizer, room = _find_tokenizer(reward.language_model)
        encoded, left_out = encode_rankings(rankings, tokenizer, room, skip_long)
        if all(ranking.is_tie for ranking in encoded.rankings):
            found = f"ties, and {left_out} rankings with a text that is too long" if left_out else "ties"
            raise ValueError(f"{path} holds only {found}, and nothing can be learned from them")
        return cls(path, encoded, reward, room, left_out)

    def specs(self) -> tuple[SpaceSpec, SpaceSpec]:
        """The layouts of observations and actions."""
        if self.room is None:
            return self.tokens.specs()
        # Every text is padded to this width, and some checkpoints take a million tokens.
        return self.tokens.specs(min(self.room, max(self.tokens.max_tokens, _MAX_ROOM_TOKENS)))

    @contextmanager
    def answers(self, newest: int, rule: Rule | None = None) -> Iterator[SavedAnswers]:
        """Context manager that gives the ``newest`` answers."""
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


def _find_tokenizer(language_model: str) -> tuple[Tokenizer, int | None]:
    """Tokenizer and maximum text length of a checkpoint; for a size, bytes and no maximum."""
    from prefrl.text.models import SIZES

    if language_model in SIZES:
        return ByteTokenizer(), None
    texts = open_text_model(language_model)
    return texts.tokenizer, texts.model.max_tokens
