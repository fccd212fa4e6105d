"""A person's comparisons of Seaquest clips: does a reward learned from them predict the person's other answers?

``python benchmarks/seaquest_people.py --data seaquest_human_prefs.npz`` converts the file into an export of
comparisons, as `prefrl export` writes them, and prints what ``prefrl fit`` makes of it, cross-validated. The file has
frames (S, 28, 84, 84) uint8, the newest 25 of which are a clip, pairs (Q, 2) of clips, and mu (Q, 2), what was
answered; 123 comparisons in this form come with https://github.com/mrahtz/learning-from-human-preferences (MIT).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import ROOT, WORK
from prefrl.data.frames import unpack_frames
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.storage import Store, export_comparisons

STACK, STEPS = 4, 25
ANNOTATOR = "person"
OBSERVATIONS = SpaceSpec("box", (STACK, 84, 84), "uint8")
ACTIONS = SpaceSpec("discrete", (), "int64", (1,), (0,))
"""the actions were not kept: the reward is one of observations alone"""
EPOCHS, FOLDS, SEEDS = 10, 10, 3
SETTINGS = [
    "--reward.no-use-actions",
    "--reward.batch-norm",
    "--reward.dropout",
    "0.5",
    "--reward.batch-size",
    "16",
]
RESULTS = ROOT / "benchmarks" / "results" / "seaquest_people.jsonl"


def read(path: Path) -> Iterator[tuple[tuple[Segment, Segment], tuple[int, int]]]:
    """The pairs of clips with the ranks given to them."""
    data = np.load(path)
    index = (np.arange(STEPS)[:, None] + np.arange(STACK)).astype(np.int32)
    clips = [
        _clip(unpack_frames(frames, index, channel_axis=1), n) for n, frames in enumerate(data["frames"])
    ]
    for (left, right), (mu, _) in zip(data["pairs"], data["mu"], strict=True):
        yield (clips[left], clips[right]), (1, 1) if mu == 0.5 else (1, 2) if mu == 1 else (2, 1)


def _clip(observations: np.ndarray, number: int) -> Segment:
    none, never = np.zeros(STEPS, np.float32), np.zeros(STEPS, bool)
    return Segment(
        observations, np.zeros(STEPS, np.int64), none, never, never, Provenance("Seaquest", 0, number, 0)
    )


def convert(data: Path, folder: Path) -> int:
    """Write an export of the comparisons; returns how many."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_suffix(".sqlite")
    scratch.unlink(missing_ok=True)
    spaces = {"observation": OBSERVATIONS.to_json(), "action": ACTIONS.to_json()}
    with Store.open(scratch, create=True) as store:
        pairs, answers = zip(*read(data), strict=True)
        store.add_segments([segment for pair in pairs for segment in pair], keep_unqueried=2 * len(pairs))
        ids = store.add_queries([Query(pair) for pair in pairs])
        store.add_comparisons(
            [Comparison(query, ranks, ANNOTATOR) for query, ranks in zip(ids, answers, strict=True)]
        )
        export_comparisons(store, folder, spaces)
    return len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the npz file")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    folder = WORK / "seaquest_people"
    shutil.rmtree(folder, ignore_errors=True)
    convert(options.data, folder / "export")
    lines = []
    for seed in range(options.seeds):
        command = ["-m", "prefrl.cli", "fit", str((folder / "export").relative_to(ROOT)), *SETTINGS]
        command += ["--out", str((folder / f"reward-{seed}").relative_to(ROOT)), "--seed", str(seed)]
        command += ["--epochs", str(EPOCHS), "--folds", str(FOLDS)]
        output = subprocess.run(
            [sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        )
        result = json.loads(output.stdout.splitlines()[-1])
        lines.append(json.dumps({"command": " ".join(["python", *command]), **result}))
        print(lines[-1], flush=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
