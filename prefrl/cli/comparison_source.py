"""Saved comparisons that `prefrl fit` learns from: those of a run directory or of an exported folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from prefrl.annotators import Answer, Rule, resolve
from prefrl.config import RewardConfig
from prefrl.config.modality import Modality, modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery
from prefrl.data.validation_split import validation_segments
from prefrl.loop.trust import open_run
from prefrl.storage import Store, exported_specs, import_comparisons, read_about
from prefrl.storage.run_dir import RunDir

__all__ = ["ComparisonSource", "SavedAnswers"]

_BATCH = 128
"""comparisons in memory at once: 180 MB of Atari clips"""


@dataclass(frozen=True)
class ComparisonSource:
    """A run directory or export that holds comparisons, and its settings."""

    path: Path
    is_run: bool
    reward: RewardConfig
    """the run's settings; the defaults for an export, which has none"""
    seed: int
    """the run's seed; 0 for an export"""

    @classmethod
    def open(cls, path: Path, trust: bool = False) -> ComparisonSource:
        """Open the run directory or export at ``path``; raises ValueError when it is neither."""
        if (path / "config.json").is_file():
            config = open_run(path, trust).config()
            return cls(path, True, config.reward, config.seed)
        if (path / "about.json").is_file():
            read_about(path)
            return cls(path, False, RewardConfig(), 0)
        found = "is neither a run directory nor an export" if path.exists() else "does not exist"
        raise ValueError(
            f"{path} {found}; give the folder of a run, which has a config.json, or one that "
            "`prefrl export RUN FOLDER` wrote, which has an about.json; `prefrl fit` also accepts .jsonl files of "
            "ranked texts"
        )

    def specs(self) -> tuple[SpaceSpec, SpaceSpec]:
        """The layouts of observations and actions."""
        return RunDir.open(self.path).specs() if self.is_run else exported_specs(self.path)

    @contextmanager
    def answers(self, newest: int, rule: Rule | None = None) -> Iterator[SavedAnswers]:
        """Context manager that gives the ``newest`` answers; see `SavedAnswers`.

        Raises:
            ValueError: when there are no answers other than "can't tell".
        """
        with self._store() as store:
            answers = SavedAnswers(store, newest, rule)
            if not answers.comparisons:
                count = store.counts().comparisons
                found = f'{count} comparisons, all of them "can\'t tell"' if count else "no comparisons"
                raise ValueError(
                    f"{self.path} holds {found}; there is nothing to learn from until some are answered"
                )
            yield answers

    @contextmanager
    def _store(self) -> Iterator[Store]:
        if self.is_run:
            with Store.open(RunDir.open(self.path).store) as store:
                yield store
            return
        with (
            tempfile.TemporaryDirectory(prefix="prefrl-") as folder,
            Store.open(Path(folder) / "store.sqlite", create=True) as store,
        ):
            import_comparisons(self.path, store)
            yield store


class SavedAnswers:
    """The newest comparisons of a store, read in batches that fit into memory.

    Superseded answers and "can't tell" are left out. Queries are numbered from 1, in the order they were asked. The
    number decides the bootstrap weights; a store also counts queries that nobody answered and its export does not, so
    renumbering makes both give the same reward.

    Args:
        store: holds the comparisons.
        newest: number of comparisons.
        rule: how to merge several answers to the same pair into one; None keeps all of them.
    """

    def __init__(self, store: Store, newest: int, rule: Rule | None = None) -> None:
        self._store = store
        counting = [c for c in store.comparisons(with_superseded=False) if c.ranks is not None]
        self.comparisons = counting[-newest:]
        """oldest first, with the store's query ids"""
        records = [store.query_record(comparison.query_id) for comparison in self.comparisons]
        self.answers = [
            Answer(record.segment_ids, comparison.ranks, comparison.annotator)
            for record, comparison in zip(records, self.comparisons, strict=True)
        ]
        """the same answers, with segment ids"""
        several = len({comparison.query_id for comparison in self.comparisons}) < len(self.comparisons)
        self.has_repeats = several or any(record.repeat_of is not None for record in records)
        """whether pairs were asked more than once on purpose, which shows how reliable each annotator is"""
        if rule is not None:
            self.comparisons = [
                replace(self.comparisons[index], ranks=ranks) for index, ranks in resolve(self.answers, rule)
            ]
        asked = sorted({comparison.query_id for comparison in store.comparisons()})
        self._number = {query_id: number for number, query_id in enumerate(asked, start=1)}

    def batches(self) -> Iterator[list[LabelledQuery]]:
        """The comparisons with their segments, oldest first, in batches."""
        ranks = {comparison.id: comparison.ranks for comparison in self.comparisons}
        after = (self.comparisons[0].id or 0) - 1
        while batch := self._store.labelled(after, _BATCH):
            after = batch[-1].comparison.id or 0
            yield [
                self._renumbered(item, ranks[item.comparison.id])
                for item in batch
                if item.comparison.id in ranks
            ]

    def held_out(self, fraction: float, observation_spec: SpaceSpec) -> set[str]:
        """Ids of the segments that a trainer holds out for validation with this fraction."""
        modality = modality_of(observation_spec)
        if modality.compares_within_groups:
            return self._held_out_prompts(fraction, modality)
        queries = (self._store.query_record(comparison.query_id) for comparison in self.comparisons)
        return validation_segments((query.segment_ids for query in queries), fraction)

    def _held_out_prompts(self, fraction: float, modality: Modality) -> set[str]:
        segments = [item.query.segments for batch in self.batches() for item in batch]
        keys = [[modality.validation_key(each) for each in group] for group in segments]
        held_out = validation_segments(keys, fraction)
        pairs = zip(segments, keys, strict=True)
        return {each.id for group, prompts in pairs if prompts[0] in held_out for each in group}

    def _renumbered(self, item: LabelledQuery, ranks: tuple[int, ...] | None) -> LabelledQuery:
        number = self._number[item.comparison.query_id]
        return replace(item, comparison=replace(item.comparison, query_id=number, ranks=ranks))
