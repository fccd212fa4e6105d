"""A file of rankings as comparisons to learn a reward from."""

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


_MOST_ROOM = 2048
"""tokens that a reward's texts may have, unless those that it is learned from have more"""


@dataclass(frozen=True)
class RankingSource:
    """Rankings in a file, as `prefrl.cli.comparison_source.ComparisonSource` has those of a run."""

    path: Path
    tokens: TokenRankings
    reward: RewardConfig
    room: int | None
    """longest text that the checkpoint takes; None where the model is made for these texts alone"""
    left_out: int = 0
    """rankings of the file with a longer text than that"""
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
        """Read the file; its tokens are those of the checkpoint that ``reward`` names, bytes where it names a size.

        Args:
            path: of the file.
            reward: settings of the fit.
            odd_rows: see `prefrl.text.rankings.load_rankings`.
            criterion: likewise.
            skip_long: leave out rankings with a text that is longer than the checkpoint takes.

        Raises:
            ValueError: when it cannot be read, holds ties alone, or a text has a part without a token or is too long.
        """
        rankings = read_rankings(path, odd_rows, criterion)
        tokenizer, room = _tokens_of(reward.language_model)
        encoded, left_out = encode_rankings(rankings, tokenizer, room, skip_long)
        if all(ranking.is_tie for ranking in encoded.rankings):
            but = f"ties, and {left_out} with a text that is too long" if left_out else "ties"
            raise ValueError(f"{path} holds no ranking but {but}, of which nothing can be learned")
        return cls(path, encoded, reward, room, left_out)

    def specs(self) -> tuple[SpaceSpec, SpaceSpec]:
        """How observations and actions are laid out."""
        if self.room is None:
            return self.tokens.specs()
        # Every text is stored at this width, and some checkpoints take a million tokens.
        return self.tokens.specs(min(self.room, max(self.tokens.max_tokens, _MOST_ROOM)))

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
    from prefrl.text.models import SIZES

    if language_model in SIZES:
        return ByteTokenizer(), None
    texts = open_text_model(language_model)
    return texts.tokenizer, texts.model.max_tokens
