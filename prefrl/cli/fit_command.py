"""``prefrl fit``: learn a reward from saved comparisons."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from prefrl.annotators import estimate_errors
from prefrl.cli.comparison_source import ComparisonSource, SavedAnswers
from prefrl.cli.new_folder import check_new_folder
from prefrl.cli.options import parse
from prefrl.cli.progress import progress
from prefrl.cli.ranking_source import RankingSource
from prefrl.config import RewardConfig, RunConfig
from prefrl.config.modality import modality_of
from prefrl.loop.validation import check_config
from prefrl.reward.loss_registry import find_loss
from prefrl.storage.versions import publish_version
from prefrl.text.rankings import OddRows

if TYPE_CHECKING:
    from prefrl.data.spaces import SpaceSpec
    from prefrl.reward import FitReport, LearnedReward
    from prefrl.reward.assessment import Assessment

__all__ = ["main"]

_DESCRIPTION = """Learn a reward from saved comparisons, without an environment or an agent.

If SOURCE is a run directory, its settings are the defaults; the defaults shown here are those for an export. The same
comparisons, settings and seed give the same weights bit for bit. Load the result with
prefrl.LearnedReward.load(OUT)."""


RANKINGS_REWARD = RewardConfig(
    members=1,
    learning_rate=3e-4,
    batch_size=16,
    initial_epochs=1,
    bootstrap=False,
    l2=0.0,
    adaptive_l2=False,
    last_labels=1_000_000_000,
)
"""defaults for files of rankings: one epoch, as in Stiennon et al. 2020, because language models memorise rankings in a
few epochs"""


RANKING_FILES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
"""suffixes of files of rankings"""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl fit``."""

    source: tyro.conf.Positional[Path]
    """run directory, folder written by `prefrl export`, or file of rankings of texts (HH, TRL or K-wise JSONL)"""
    out: Path
    """new folder for the learned reward"""
    epochs: int | None = None
    """passes over the comparisons; by default reward.initial_epochs"""
    folds: int | None = None
    """number of parts for cross-validation: train once more per part, without that part, and report how well its
    answers are predicted; for when there are too few comparisons to hold some out"""
    conflicts: Literal["trust", "majority", "dawid_skene"] = "trust"
    """pairs that were answered more than once: "trust" keeps every answer, and trusts each annotator according to the
    error that these pairs show; "majority" and "dawid_skene" (Dawid and Skene 1979) merge the answers into one"""
    seed: int = 0
    """random seed of initial weights, minibatches and bootstrap; by default the run's"""
    odd_rows: OddRows = "strict"
    """rows of a file that rank nothing: "strict" refuses the file, "skip" leaves them out"""
    criterion: str | None = None
    """which scores to use, in a K-wise file that has several"""
    skip_long: bool = False
    """leave out rankings with a text that is too long for the checkpoint in reward.language_model, instead of refusing
    the file"""
    trust: bool = False
    """allow modules that the run's settings name to be imported, which runs their code"""
    reward: RewardConfig = dataclasses.field(default_factory=RewardConfig)


def main(arguments: Sequence[str]) -> int:
    """Fit and save the reward, and print the result as one line of JSON."""
    options, source = _read(arguments)
    epochs = options.reward.initial_epochs if options.epochs is None else options.epochs
    if epochs < 1:
        raise ValueError(f"--epochs is {epochs}; at least 1 is needed")
    check_config(RunConfig(reward=options.reward, seed=options.seed))
    if options.folds is not None and options.folds < 2:
        raise ValueError(f"--folds is {options.folds}; at least 2 are needed")
    check_new_folder(options.out)
    specs = source.specs()
    # Imported late, so that wrong options are reported immediately.
    from prefrl.loop import keep_heap
    from prefrl.reward import RewardTrainer

    keep_heap()
    trainer = RewardTrainer(*specs, options.reward, options.seed)
    rule = None if options.conflicts == "trust" else options.conflicts
    with source.answers(options.reward.last_labels, rule) as answers:
        if find_loss(options.reward.loss).fits_true_returns:
            _check_returns(answers)
        for batch in answers.batches():
            trainer.update(batch)
        with progress(epochs, "epochs") as on_epoch:
            report = trainer.fit(epochs, _errors(options, answers), on_epoch)
        _check(report, options)
        reward = trainer.snapshot(version=1)
        publish_version(options.out, reward.version, reward.save)
        result = _result(
            options,
            trainer.num_labels,
            report,
            _assess(reward, answers),
            modality_of(specs[0]).varies_in_length,
        )
        if isinstance(source, RankingSource):
            result["left_out"] = source.left_out
        if options.folds is not None:
            result |= _cross_validate(specs, options, answers, epochs)
    print(json.dumps(result))
    return 0


def _read(arguments: Sequence[str]) -> tuple[Options, ComparisonSource | RankingSource]:
    # Parsed twice: the source decides the defaults of the other options.
    named = parse(Options, arguments, "prefrl fit", _DESCRIPTION)
    of_file = named.odd_rows, named.criterion, named.skip_long
    if named.source.is_file() and named.source.name.endswith(RANKING_FILES):
        default = Options(named.source, named.out, reward=RANKINGS_REWARD)
        options = parse(Options, arguments, "prefrl fit", _DESCRIPTION, default)
        return options, RankingSource.open(options.source, options.reward, *of_file)
    source = ComparisonSource.open(named.source, named.trust)
    if of_file != ("strict", None, False):
        raise ValueError(
            f"--odd-rows, --criterion and --skip-long are only for files of rankings, which {named.source} is not; "
            "leave them out"
        )
    default = Options(named.source, named.out, seed=source.seed, reward=source.reward)
    return parse(Options, arguments, "prefrl fit", _DESCRIPTION, default), source


def _check_returns(answers: SavedAnswers) -> None:
    """Raise ValueError when all true returns are equal, as they are (0) when they were never known."""
    segments = (segment for batch in answers.batches() for item in batch for segment in item.query.segments)
    returns = {segment.true_return for segment in segments}
    if len(returns) == 1:
        raise ValueError(
            f"reward.loss is regression, which fits true returns, and all of them are {returns.pop():g}; "
            "segments without a true reward need another loss, use bradley_terry"
        )


def _errors(options: Options, answers: SavedAnswers) -> dict[str, float]:
    """Estimated error of each annotator; empty if it cannot be estimated or is not used."""
    if options.conflicts != "trust" or not answers.has_repeats:
        return {}
    return estimate_errors(answers.answers, options.reward.label_noise / 2)


def _cross_validate(
    specs: tuple[SpaceSpec, SpaceSpec], options: Options, answers: SavedAnswers, epochs: int
) -> dict[str, Any]:
    from prefrl.reward.cross_validation import cross_validate

    assert options.folds is not None
    with progress(options.folds, "folds") as on_fold:
        found = cross_validate(
            specs, options.reward, answers.batches, options.folds, epochs, options.seed, on_fold
        )
    return {
        "accuracy_cross_validated": found.accuracy,
        "interval_cross_validated": found.interval,
        "pairs_cross_validated": found.pairs,
    }


def _check(report: FitReport, options: Options) -> None:
    if report.diverged:
        raise ValueError(
            f"the loss was not finite after {report.epochs} epochs, so there is no reward to write; "
            f"try a --reward.learning-rate below {options.reward.learning_rate}"
        )
    if report.epochs == 0:
        raise ValueError(
            "all comparisons are held out for validation, so there are none to train on; "
            f"try a --reward.validation-fraction below {options.reward.validation_fraction}, or 0"
        )


def _assess(reward: LearnedReward, answers: SavedAnswers) -> Assessment:
    from prefrl.reward.assessment import Assessor

    assessor = Assessor(reward)
    held_out = answers.held_out(reward.config.validation_fraction, reward.observation_spec)
    for batch in answers.batches():
        assessor.predict_answers([item for item in batch if item.query.segments[0].id in held_out])
        assessor.predict_returns(segment for item in batch for segment in item.query.segments)
    return assessor.assessment()


def _result(
    options: Options, labels: int, report: FitReport, assessment: Assessment, varies_in_length: bool
) -> dict[str, Any]:
    result = {
        "out": str(options.out),
        "labels": labels,
        "members": options.reward.members,
        "epochs": report.epochs,
        "seed": options.seed,
        "accuracy_train": report.train_accuracy,
        "accuracy_validation": report.validation_accuracy,
        "pairs_validation": report.validation_pairs,
        "calibration_error_validation": assessment.calibration_error,
        "log_loss_validation": assessment.log_loss,
        "correlation_true_return": assessment.correlation_true_return,
    }
    if varies_in_length:
        result["length_bias"] = assessment.length_bias
        result["accuracy_longer_validation"] = assessment.accuracy_longer
    return result
