"""Registries find by name, import by module:name, and say what there is."""

from __future__ import annotations

import math

import pytest

from prefrl.config.registry import Registry, names_a_module

FUNCTIONS = Registry("function", {"absolute": abs, "largest": max})


def test_a_known_name_gives_its_object() -> None:
    assert FUNCTIONS.find("absolute") is abs
    assert list(FUNCTIONS) == ["absolute", "largest"]
    assert "largest" in FUNCTIONS
    assert "smallest" not in FUNCTIONS


def test_module_and_name_import_an_object_from_outside() -> None:
    assert FUNCTIONS.find("math:sqrt") is math.sqrt


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absolut", "did you mean 'absolute'"),
        ("other", r"one of \['absolute', 'largest'\]"),
        ("no_such_module_here:f", "cannot be imported"),
        ("math:no_such", "has no 'no_such'"),
    ],
)
def test_an_unknown_name_is_refused_with_a_way_out(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FUNCTIONS.find(name)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("a:b", True), ("a.b:C", True), ("plain", False), ("a:", False), (":b", False), ("C:/x", False)],
)
def test_what_names_a_module(name: str, is_one: bool) -> None:
    assert names_a_module(name) is is_one
