"""``prefrl export``: a run's comparisons as plain files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import tyro

from prefrl.cli.options import parse
from prefrl.run_dir import RunDir
from prefrl.store import Store, export_comparisons

__all__ = ["main"]

_DESCRIPTION = """Write a run's comparisons to plain files: JSON lines and .npz, no pickle.

The folder then holds comparisons.jsonl (a line an answer, superseded ones included), segments-*.npz (what
was compared) and about.json (the layout of observations and actions); with --clips gif, a film of each answer in
clips/. A run at work may be exported. Learn
from the folder with `prefrl fit`, or bring it into another run with `prefrl import`."""


@dataclass(frozen=True)
class Options:
    """From where, and where to."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    folder: tyro.conf.Positional[Path]
    """new folder to write"""
    clips: Literal["gif", "mp4"] | None = None
    """write what people saw of each query, too, as a film with its answer"""


def main(words: Sequence[str]) -> int:
    """Export, and print what was written as one line of JSON."""
    options = parse(Options, words, "prefrl export", _DESCRIPTION)
    run = RunDir.open(options.run)
    observation, action = run.specs()
    with Store.open(run.store) as store:
        if store.last_comparison_id() == 0:
            raise ValueError(
                f"{run.path} has no comparisons to export; go on with `prefrl resume {run.path}`"
            )
        spaces = {"observation": observation.to_json(), "action": action.to_json()}
        report = export_comparisons(store, options.folder, spaces)
        films = {} if options.clips is None else _write_films(run, store, options.folder, options.clips)
    print(json.dumps({"folder": str(options.folder), **asdict(report), **films}))
    return 0


def _write_films(run: RunDir, store: Store, folder: Path, kind: str) -> dict[str, int]:
    """A film of every answer that counts, as far as there is anything to be seen."""
    from prefrl.environments import make_ordinary_environment
    from prefrl.viewer.answer_film import answer_pictures, write_film
    from prefrl.viewer.exhibits import Artist, NothingToSeeError, clip_fps
    from prefrl.viewer.query_page import answer_in_words

    make_env = partial(make_ordinary_environment, run.config().env)
    fps = clip_fps(make_env)
    artist = Artist(store, make_env, fps)
    (folder / "clips").mkdir()
    written = unseen = 0
    for comparison in store.comparisons(with_superseded=False):
        try:
            items = [artist.item(key) for key in store.query_record(comparison.query_id).segment_ids]
        except NothingToSeeError:
            unseen += 1
            continue
        ranks = comparison.ranks or ()
        best = [item for item, rank in enumerate(ranks) if rank == 1]
        caption = f"{comparison.annotator}: {answer_in_words(comparison.ranks)}"
        # An imported answer may be signed with anything.
        name = re.sub(r"[^\w.-]", "_", comparison.annotator)
        path = folder / "clips" / f"{comparison.query_id:06}-{name}.{kind}"
        write_film(path, answer_pictures(items, best, caption), fps)
        written += 1
    artist.close()
    return {"films": written, "queries_without_clips": unseen}
