"""Exports that contradict their description, the run, or themselves are refused before the first row."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.storage import Store, StoreError, export_comparisons, exported_specs, import_comparisons
from prefrl.storage.shards import ShardWriter, shard_path

Specs = tuple[SpaceSpec, SpaceSpec]

VECTORS = SpaceSpec.pair(gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(3))
TEXTS = (
    SpaceSpec("tokens", (2 + 4,), "int32", eos_id=1, max_new_tokens=2),
    SpaceSpec("token", (), "int64", (9,), (0,)),
)


def unchecked(segment: Segment, **changes: Any) -> Segment:
    """A segment that its own checks would refuse; its id is that of its content all the same."""
    made = object.__new__(Segment)
    for field in dataclasses.fields(Segment):
        object.__setattr__(made, field.name, changes.get(field.name, getattr(segment, field.name)))
    return made


def text_segment(number: int, row: Sequence[int] = (2, 1, 5, 6, 0, 0), token: int = 7) -> Segment:
    """The last step of a text: length, prompt length and tokens before it, and the token it adds."""
    return Segment(
        np.array([row], np.int32),
        np.array([token]),
        np.full(1, number, np.float32),
        np.zeros(1, bool),
        np.ones(1, bool),
        Provenance("Test-v0", 7, 100, 0),
    )


def write_export(folder: Path, segments: Sequence[Segment], specs: Specs | None) -> None:
    """An export of one comparison of all the segments, without a look at them."""
    folder.mkdir()
    writer = ShardWriter(folder, shard_segments=1)
    for segment in segments:
        writer.add(segment)
    writer.flush()
    line = {
        "comparison": 1,
        "query": 1,
        "segments": [segment.id for segment in segments],
        "ranks": [1] * len(segments),
        "annotator": "ann",
        "latency_s": 1.0,
        "time_s": 1000.0,
        "supersedes": None,
        "sampler": "uniform",
        "score": 0.0,
        "policy_step": 0,
        "repeat_of": None,
    }
    (folder / "comparisons.jsonl").write_text(json.dumps(line) + "\n")
    spaces = None if specs is None else {"observation": specs[0].to_json(), "action": specs[1].to_json()}
    about = {"format": "prefrl-comparisons", "version": 1, "env_ids": ["Test-v0"], "spaces": spaces}
    (folder / "about.json").write_text(json.dumps(about | {"comparisons": 1, "shards": writer.shards}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "export"


@pytest.fixture
def refuses(
    store: Store, ask: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Assert that an import is refused with these words, no transaction begun and no table changed."""
    store.add_comparisons([Comparison(ask(20, 21), (1, 2), "ann")])

    def tables() -> str:
        with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
            return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()

    def check(folder: Path, message: str, specs: Specs | None = None) -> None:
        def begin(self: Store) -> None:
            raise AssertionError("nothing may be written before everything is checked")

        before, counts = tables(), store.counts()
        with monkeypatch.context() as patch:
            patch.setattr(Store, "transaction", begin)
            with pytest.raises(StoreError, match=message):
                import_comparisons(folder, store, specs)
        assert (tables(), store.counts()) == (before, counts)

    return check


SEGMENT_FAULTS: dict[str, tuple[Callable[[Segment], dict[str, Any]], str]] = {
    "observations of another shape": (
        lambda s: {"observations": np.zeros((3, 3), np.float32)},
        r"observations have shape \(3,\) a step, the space's is \(2,\)",
    ),
    "observations without a shape": (
        lambda s: {"observations": np.zeros(3, np.float32)},
        r"observations have shape \(\) a step",
    ),
    "observations of float64": (
        lambda s: {"observations": s.observations.astype(np.float64)},
        "observations are float64, the space's are float32",
    ),
    "observations of another byte order": (
        lambda s: {"observations": s.observations.astype(">f4")},
        "observations are >f4, the space's are float32",
    ),
    "observations that are not finite": (
        lambda s: {"observations": np.full((3, 2), np.nan, np.float32)},
        "holds no intact segments .*observations that is not finite",
    ),
    "true rewards that are not finite": (
        lambda s: {"true_rewards": np.full(3, np.inf, np.float32)},
        "holds no intact segments .*true_rewards that is not finite",
    ),
    "actions of another shape": (
        lambda s: {"actions": s.actions[:, None]},
        r"actions have shape \(1,\) a step, the space's is \(\)",
    ),
    "actions of int32": (
        lambda s: {"actions": s.actions.astype(np.int32)},
        "actions are int32, the space's are int64",
    ),
    "an action above the space's": (
        lambda s: {"actions": np.array([0, 1, 3])},
        r"actions hold a category outside the space's \(3,\) from \(0,\)",
    ),
    "an action below the space's": (
        lambda s: {"actions": np.array([0, -1, 2])},
        "actions hold a category outside",
    ),
    "an action far below the space's": (
        lambda s: {"actions": np.array([0, -(2**63), 2])},
        "actions hold a category outside",
    ),
    "true rewards of float64": (
        lambda s: {"true_rewards": s.true_rewards.astype(np.float64)},
        "true_rewards are float64, float32 is needed",
    ),
    "flags that are numbers": (
        lambda s: {"terminated": s.terminated.astype(np.uint8)},
        "terminated are uint8, bool is needed",
    ),
    "arrays of different lengths": (
        lambda s: {"actions": np.array([0, 1])},
        "holds no intact segments",
    ),
    "no steps": (
        lambda s: (
            {name: getattr(s, name)[:0] for name in ("observations", "actions", "true_rewards")}
            | {"terminated": s.terminated[:0], "truncated": s.truncated[:0]}
        ),
        "holds no intact segments .*at least one step",
    ),
    "another environment": (
        lambda s: {"provenance": dataclasses.replace(s.provenance, env_id="Other-v0")},
        r"about\.json: it is of Other-v0, not of one of \['Test-v0'\]",
    ),
    "a step beyond 64 bits": (
        lambda s: {"provenance": dataclasses.replace(s.provenance, policy_step=2**63)},
        "policy_step 9223372036854775808, which takes over 64 bits",
    ),
}


@pytest.mark.parametrize("fault", SEGMENT_FAULTS)
def test_a_segment_that_contradicts_the_description(
    refuses: Callable[..., None], folder: Path, make_segment: Callable[..., Segment], fault: str
) -> None:
    change, message = SEGMENT_FAULTS[fault]
    segment = make_segment(2)
    write_export(folder, [make_segment(1), unchecked(segment, **change(segment))], VECTORS)
    refuses(folder, rf"segments-00001\.npz: .*{message}")


def test_a_segment_that_no_line_refers_to_is_checked_too(
    refuses: Callable[..., None], folder: Path, make_segment: Callable[..., Segment]
) -> None:
    odd = dataclasses.replace(make_segment(3), actions=np.array([0, 1, 3]))
    write_export(folder, [make_segment(1), make_segment(2), odd], VECTORS)
    line = json.loads((folder / "comparisons.jsonl").read_text())
    line |= {"segments": line["segments"][:2], "ranks": [1, 2]}
    (folder / "comparisons.jsonl").write_text(json.dumps(line) + "\n")
    refuses(folder, r"segments-00002\.npz: segment 0 contradicts about\.json: actions hold a category")


@pytest.mark.parametrize("value", ["100", 100.0, True, None])
def test_provenance_of_another_type(
    refuses: Callable[..., None], folder: Path, make_segment: Callable[..., Segment], value: object
) -> None:
    segment = make_segment(1)
    write_export(folder, [make_segment(2), segment], VECTORS)
    path = shard_path(folder, 1)
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    provenance = dataclasses.replace(segment.provenance, policy_step=value)  # type: ignore[arg-type]
    arrays["provenance"] = np.array([json.dumps(dataclasses.asdict(provenance))])
    arrays["ids"] = np.array([unchecked(segment, provenance=provenance).id])
    np.savez_compressed(path, **arrays)
    refuses(folder, r"segments-00001\.npz: holds no intact segments \(provenance has policy_step")


TEXT_FAULTS: dict[str, tuple[Segment, str]] = {
    "no room for the token": (text_segment(2, (4, 1, 5, 6, 5, 6)), "lengths do not fit into 4 tokens"),
    "a length below 0": (text_segment(2, (-1, -1, 5, 6, 0, 0)), "lengths do not fit"),
    "a prompt longer than the text": (text_segment(2, (2, 3, 5, 6, 0, 0)), "lengths do not fit"),
    "a prompt of a length below 0": (text_segment(2, (2, -1, 5, 6, 0, 0)), "lengths do not fit"),
    "a token above the vocabulary": (text_segment(2, (2, 1, 5, 9, 0, 0)), "outside the vocabulary of 9"),
    "a padding token below it": (text_segment(2, (2, 1, 5, 6, 0, -1)), "outside the vocabulary of 9"),
    "an action above it": (text_segment(2, token=9), r"actions hold a category outside the space's \(9,\)"),
    "a longer row": (text_segment(2, (2, 1, 5, 6, 0, 0, 0)), r"observations have shape \(7,\) a step"),
}


@pytest.mark.parametrize("fault", TEXT_FAULTS)
def test_a_text_that_contradicts_the_description(
    refuses: Callable[..., None], folder: Path, fault: str
) -> None:
    segment, message = TEXT_FAULTS[fault]
    write_export(folder, [text_segment(1), segment], TEXTS)
    refuses(folder, rf"segments-00001\.npz: segment 0 contradicts about\.json: .*{message}")


def test_texts_need_actions_that_are_tokens(refuses: Callable[..., None], folder: Path) -> None:
    write_export(folder, [text_segment(1), text_segment(2)], (TEXTS[0], SpaceSpec.of(gym.spaces.Discrete(9))))
    refuses(folder, "observations are texts, and actions of kind discrete, no tokens")


def test_texts_that_fit_are_imported(store: Store, folder: Path) -> None:
    segments = [
        text_segment(1),
        text_segment(2, (3, 1, 5, 6, 8, 0), token=1),
        text_segment(3, (0, 0, 0, 0, 0, 0)),
    ]
    write_export(folder, segments, TEXTS)
    assert import_comparisons(folder, store, TEXTS).segments == 3
    assert store.query(1).segments == tuple(segments)


def test_binary_observations_are_0_or_1(
    refuses: Callable[..., None], folder: Path, make_segment: Callable[..., Segment]
) -> None:
    specs = SpaceSpec.pair(gym.spaces.MultiBinary(2), gym.spaces.Discrete(3))
    rows = np.array([[0, 1], [1, 1], [0, 2]], np.int8)
    good = dataclasses.replace(make_segment(1), observations=rows % 2)
    write_export(folder, [good, dataclasses.replace(good, observations=rows)], specs)
    refuses(folder, "observations hold other numbers than 0 and 1")


@pytest.mark.parametrize("described", [None, VECTORS])
def test_a_segment_that_contradicts_the_run(
    refuses: Callable[..., None],
    folder: Path,
    make_segment: Callable[..., Segment],
    described: Specs | None,
) -> None:
    write_export(folder, [make_segment(1), make_segment(2)], described)
    of_the_run = VECTORS[0], SpaceSpec.of(gym.spaces.Discrete(2))
    refuses(folder, r"contradicts the run: actions hold a category outside the space's \(2,\)", of_the_run)


def test_what_agrees_with_the_run_is_imported(
    store: Store, folder: Path, make_segment: Callable[..., Segment]
) -> None:
    write_export(folder, [make_segment(1), make_segment(2)], VECTORS)
    assert exported_specs(folder) == VECTORS
    report = import_comparisons(folder, store, VECTORS)
    assert (report.comparisons, report.queries, report.segments) == (1, 1, 2)
    assert store.labelled()[0].query.segments == (make_segment(1), make_segment(2))


BOX = VECTORS[0].to_json()


@pytest.mark.parametrize(
    "spaces",
    [
        [],
        {},
        "box",
        {"observation": BOX},
        {"observation": BOX, "action": []},
        {"observation": BOX, "action": BOX | {"dtype": "nonsense"}},
        {"observation": BOX | {"shape": ["2"]}, "action": BOX},
        {"observation": BOX | {"shape": 2}, "action": BOX},
        {"observation": BOX | {"categories": [3]}, "action": BOX},
        {"observation": BOX | {"categories": [3, 3], "starts": [0]}, "action": BOX},
        {"observation": BOX | {"categories": [3, "3"], "starts": [0, 0]}, "action": BOX},
        {"observation": BOX | {"parts": [1]}, "action": BOX},
    ],
)
def test_a_description_that_describes_no_spaces(
    refuses: Callable[..., None], folder: Path, make_segment: Callable[..., Segment], spaces: object
) -> None:
    write_export(folder, [make_segment(1), make_segment(2)], None)
    path = folder / "about.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"spaces": spaces}))
    refuses(folder, r"about\.json: does not describe the observation and action spaces")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"comparisons": True}, "how many comparisons"),
        ({"shards": -1}, "how many comparisons"),
        ({"shards": 10**15}, r"segments-00002\.npz: is missing"),
        ({"env_ids": None}, "does not name the environments"),
        ({"env_ids": [3]}, "does not name the environments"),
    ],
)
def test_a_description_of_another_type(
    refuses: Callable[..., None],
    folder: Path,
    make_segment: Callable[..., Segment],
    change: dict[str, Any],
    message: str,
) -> None:
    write_export(folder, [make_segment(1), make_segment(2)], VECTORS)
    path = folder / "about.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refuses(folder, message)


# Lines


@pytest.fixture
def several(tmp_path: Path, folder: Path, make_segment: Callable[..., Segment]) -> Path:
    """An export of five answers: 1 and 2 to query 1, which 3 supersedes by ann; 4 to query 2; 5 to a repeat of 1."""
    with Store.open(tmp_path / "source.sqlite", create=True) as source:
        segments = [make_segment(number) for number in range(3)]
        source.add_segments(segments, keep_unqueried=10)
        pairs = [Query((segments[0], segments[1])), Query((segments[1], segments[2]))]
        repeat = Query((segments[1], segments[0]), repeat_of=1)
        source.add_queries([*pairs, repeat])
        for query, annotator in ((1, "ann"), (1, "bob"), (1, "ann"), (2, "ann"), (3, "ann")):
            source.add_comparisons([Comparison(query, (1, 2), annotator, 1.0, 1000.0)])
        spaces = {"observation": VECTORS[0].to_json(), "action": VECTORS[1].to_json()}
        export_comparisons(source, folder, spaces)
    return folder


LINE_FAULTS: list[tuple[int, dict[str, Any], str]] = [
    (2, {"comparison": 1}, "comparison 1 is in an earlier line, too"),
    (
        3,
        {"supersedes": 2},
        "comparison 2 cannot be superseded: the answer of 'ann' to query 1 that counts is 1",
    ),
    (4, {"supersedes": 1}, "comparison 1 cannot be superseded: the answer of 'ann' to query 2 .* is None"),
    (1, {"supersedes": 3}, "it supersedes comparison 3, which is in no line before it"),
    (1, {"supersedes": 1}, "it supersedes comparison 1, which is in no line before it"),
    (5, {"repeat_of": 3}, "it repeats query 3, which is in no line as an older query"),
    (4, {"repeat_of": 3}, "it repeats query 3, which is in no line as an older query"),
    (5, {"repeat_of": 9}, "it repeats query 9, which is in no line as an older query"),
    (3, {"query": 2}, "query 2|query 1 is another one|segment"),
    (3, {"policy_step": 1}, "query 1 is another one than in an earlier line"),
    (4, {"segments": ["0" * 64, "1" * 64]}, "segment 0+ is in no shard"),
    (4, {"segments": "ab"}, "segments is 'ab'; a list is needed"),
    (4, {"segments": [1, 2]}, "segments is 1; a text is needed"),
    (4, {"segments": []}, "does not rank a query of 0 segments"),
    (4, {"ranks": [1]}, "at least two whole numbers"),
    (4, {"ranks": [1, 2, 3]}, "does not rank a query of 2 segments"),
    (4, {"ranks": [1, True]}, "ranks is True; a whole number"),
    (4, {"ranks": [1.0, 2.0]}, r"ranks is 1\.0; a whole number"),
    (4, {"ranks": [2, 3]}, "best is 1"),
    (4, {"ranks": [1, 0]}, "best is 1"),
    (4, {"ranks": [1, 2**63]}, "ranks is 9223372036854775808; a whole number of at most 64 bits"),
    (4, {"ranks": "12"}, "ranks is '12'; a list is needed"),
    (4, {"query": 2.5}, r"query is 2\.5; a whole number"),
    (4, {"query": "2"}, "query is '2'; a whole number"),
    (4, {"policy_step": 2**64}, "policy_step is 18446744073709551616; a whole number"),
    (4, {"annotator": None}, "annotator is None; a text is needed"),
    (4, {"annotator": "\ud800"}, "UnicodeEncodeError"),
    (4, {"sampler": 3}, "sampler is 3; a text is needed"),
    (4, {"score": float("nan")}, "score is nan; a finite number is needed"),
    (4, {"latency_s": float("inf")}, "latency_s is inf; a finite number is needed"),
    (4, {"time_s": "now"}, "time_s is 'now'; a finite number is needed"),
    (4, {"time_s": 10**400}, "OverflowError"),
    (4, {"time_s": True}, "time_s is True; a finite number is needed"),
]


@pytest.mark.parametrize(("number", "change", "message"), LINE_FAULTS)
def test_a_line_that_contradicts_others_or_itself(
    refuses: Callable[..., None], several: Path, number: int, change: dict[str, Any], message: str
) -> None:
    path = several / "comparisons.jsonl"
    lines = path.read_text().splitlines()
    lines[number - 1] = json.dumps(json.loads(lines[number - 1]) | change)
    path.write_text("\n".join(lines) + "\n")
    refuses(several, rf"comparisons\.jsonl, line \d: .*({message})")


@pytest.mark.parametrize("text", ["", "7", "[]", '"text"', "[" * 100_000, '{"comparison": 1}'])
def test_a_line_that_is_no_comparison(refuses: Callable[..., None], several: Path, text: str) -> None:
    path = several / "comparisons.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], text, *lines[3:]]) + "\n")
    refuses(several, r"comparisons\.jsonl, line 3: no comparison of ours")


def test_the_lines_as_they_were_are_imported(store: Store, several: Path) -> None:
    report = import_comparisons(several, store, VECTORS)
    assert (report.comparisons, report.queries, report.segments) == (5, 3, 3)
    assert [c.supersedes for c in store.comparisons()] == [None, None, 1, None, None]
