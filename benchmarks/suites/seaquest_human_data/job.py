"""A reward fitted to a person's comparisons of Seaquest clips, cross-validated.

``python -m benchmarks.suites.seaquest_human_data.job --data seaquest_human_prefs.npz --folder DIR`` converts the file
into an export of comparisons, in the format of ``prefrl export``, and prints the result of ``prefrl fit``. The file has
frames (S, 28, 84, 84) uint8, of which the newest 25 are a clip, pairs (Q, 2) of clips, and the answers mu (Q, 2); 123
comparisons in this form come with https://github.com/mrahtz/learning-from-human-preferences (MIT).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import job_parser, prefrl_command, print_result
from prefrl.data.frames import unpack_frames
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.storage import Store, export_comparisons

__all__ = ["EPOCHS", "FOLDS", "SETTINGS"]

STACK, STEPS = 4, 25
ANNOTATOR = "person"
OBSERVATIONS = SpaceSpec("box", (STACK, 84, 84), "uint8")
ACTIONS = SpaceSpec("discrete", (), "int64", (1,), (0,))
"""the file has no actions: the reward depends on observations alone"""
EPOCHS, FOLDS = 10, 10
SETTINGS = [
    *("--reward.no-use-actions", "--reward.batch-norm", "--reward.dropout", "0.5"),
    *("--reward.batch-size", "16"),
]


def read(path: Path) -> Iterator[tuple[tuple[Segment, Segment], tuple[int, int]]]:
    """The pairs of clips with their ranks."""
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


def convert(data: Path, folder: Path) -> None:
    """Write an export of the comparisons."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    spaces = {"observation": OBSERVATIONS.to_json(), "action": ACTIONS.to_json()}
    with Store.open(folder.with_suffix(".sqlite"), create=True) as store:
        pairs, answers = zip(*read(data), strict=True)
        store.add_segments([segment for pair in pairs for segment in pair], keep_unqueried=2 * len(pairs))
        ids = store.add_queries([Query(pair) for pair in pairs])
        store.add_comparisons(
            [Comparison(query, ranks, ANNOTATOR) for query, ranks in zip(ids, answers, strict=True)]
        )
        export_comparisons(store, folder, spaces)


def main() -> None:
    """Convert, fit, and print the result."""
    parser = job_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="seaquest_human_prefs.npz")
    parser.add_argument("--folder", type=Path, required=True, help="new folder for export and reward")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    export, reward = options.folder / "export", options.folder / "reward"
    convert(options.data, export)
    command = prefrl_command(
        *("fit", str(export), *SETTINGS, "--out", str(reward), "--seed", str(options.seed)),
        *("--epochs", str(options.epochs), "--folds", str(FOLDS)),
    )
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print_result(json.loads(printed.splitlines()[-1]))


if __name__ == "__main__":
    main()
