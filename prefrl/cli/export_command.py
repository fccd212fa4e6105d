"""``prefrl export``: write a run's comparisons to plain files."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import tyro

from prefrl.cli.options import parse
from prefrl.config.modality import TEXTS, modality_of
from prefrl.loop.trust import open_run
from prefrl.storage import Store, export_comparisons
from prefrl.storage.run_dir import RunDir, RunDirError
from prefrl.text.rankings import Ranking, write_k_wise

__all__ = ["main"]

_AGENT = "agent.zip"
_DESCRIPTION = """Write a run's comparisons to plain files: JSON lines and .npz, no pickle.

The folder holds comparisons.jsonl (one line per answer, superseded ones included), segments-*.npz (the segments that
were compared) and about.json (the layout of observations and actions); with --clips gif, also a video of each answer in
clips/. A text run also gives rankings.jsonl, with prompt, responses and ranks of each answer as text, for `prefrl fit`,
`prefrl dpo` and other tools. A run can be exported while it is running. Learn from the folder with `prefrl fit`, or add
it to another run with `prefrl import`."""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl export``."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    folder: tyro.conf.Positional[Path]
    """new folder to write"""
    clips: Literal["gif", "mp4"] | None = None
    """also write a video of each query, with its answer"""
    agent: bool = False
    """also write the agent as agent.zip for Stable-Baselines3's ``load``; that format is a pickle, which runs code
    when it is loaded"""
    trust: bool = False
    """load an agent that an earlier release pickled, or that names modules outside prefrl; both run code from the run
    directory"""


def main(arguments: Sequence[str]) -> int:
    """Write the files, and print a summary as one line of JSON."""
    options = parse(Options, arguments, "prefrl export", _DESCRIPTION)
    run = RunDir.open(options.run)
    if options.clips is not None:
        # Clips are drawn by the environment, which the run names.
        open_run(options.run, options.trust)
    observation, action = run.specs()
    # Loaded before anything is written: the agent may be damaged, or need --trust.
    agent = _load_agent(run, options.trust) if options.agent else None
    with Store.open(run.store) as store:
        if store.last_comparison_id() == 0:
            raise ValueError(
                f"{run.path} has no comparisons to export; continue it with `prefrl resume {run.path}`"
            )
        spaces = {"observation": observation.to_json(), "action": action.to_json()}
        report = export_comparisons(store, options.folder, spaces)
        is_text = modality_of(observation) is TEXTS
        rankings = _write_rankings(run, store, options) if is_text else {}
        videos = {} if options.clips is None else _write_videos(run, store, options.folder, options.clips)
    if agent is not None:
        # `predict` is replaced if observations are normalised, which SB3's file cannot hold.
        agent.save(options.folder / _AGENT, exclude=["predict"])
    print(json.dumps({"folder": str(options.folder), **asdict(report), **rankings, **videos}))
    return 0


def _load_agent(run: RunDir, trust: bool) -> Any:
    from prefrl_agents import load_run_agent

    return load_run_agent(run, run.config(), trust)


def _write_rankings(run: RunDir, store: Store, options: Options) -> dict[str, int]:
    """Write each answer, other than superseded ones and "can't tell", as a ranking of texts."""
    from prefrl.loop.environments import make_ordinary_environment

    try:
        open_run(options.run, options.trust)
    except RunDirError as error:
        # The comparisons are exported all the same; only the environment could say them in words.
        print(f"rankings.jsonl is not written: {error}", file=sys.stderr)
        return {"rankings": 0}
    env = cast("Any", make_ordinary_environment(run.config().env).unwrapped)
    rankings, left_out = list[Ranking](), 0
    for comparison in store.comparisons(with_superseded=False):
        if comparison.ranks is None:
            continue
        segments = store.query(comparison.query_id).segments
        texts = [env.segment_text(segment.observations, segment.actions) for segment in segments]
        responses = tuple(response for _, response in texts)
        try:
            found = Ranking(
                texts[0][0],
                responses,
                comparison.ranks,
                id=str(comparison.query_id),
                source=comparison.annotator,
            )
        except ValueError:
            # Responses of different tokens may read the same: one that ended, and one that was cut off there.
            left_out += 1
        else:
            rankings.append(found)
    env.close()
    if rankings:
        write_k_wise(options.folder / "rankings.jsonl", rankings)
    return {"rankings": len(rankings), "rankings_left_out": left_out}


def _write_videos(run: RunDir, store: Store, folder: Path, kind: str) -> dict[str, int]:
    """Write a video of each answer that is not superseded and whose segments can be rendered."""
    from prefrl.labelling.controller import answer_in_words
    from prefrl.labelling.rendering import NotRenderableError, SegmentRenderer, clip_fps
    from prefrl.loop.environments import make_ordinary_environment
    from prefrl.viewer.answer_video import answer_frames, write_video

    make_env = partial(make_ordinary_environment, run.config().env)
    fps = clip_fps(make_env)
    renderer = SegmentRenderer(store, make_env, fps)
    (folder / "clips").mkdir()
    written = num_not_renderable = 0
    for comparison in store.comparisons(with_superseded=False):
        try:
            items = [renderer.item(key) for key in store.query_record(comparison.query_id).segment_ids]
        except NotRenderableError:
            num_not_renderable += 1
            continue
        ranks = comparison.ranks or ()
        best = [item for item, rank in enumerate(ranks) if rank == 1]
        caption = f"{comparison.annotator}: {answer_in_words(comparison.ranks)}"
        # An imported answer may have any annotator name.
        name = re.sub(r"[^\w.-]", "_", comparison.annotator)
        path = folder / "clips" / f"{comparison.query_id:06}-{name}.{kind}"
        write_video(path, answer_frames(items, best, caption), fps)
        written += 1
    renderer.close()
    return {"films": written, "queries_without_clips": num_not_renderable}
