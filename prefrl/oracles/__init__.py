"""Who answers queries, and how far to trust them."""

from prefrl.oracles.annotators import AnnotatorReport, Answer, annotator_reports, doubts, estimate_errors
from prefrl.oracles.base import Oracle
from prefrl.oracles.conflicts import Rule, resolve
from prefrl.oracles.scripted import ScriptedOracle
from prefrl.oracles.synthetic import SYNTHETIC, TEACHERS, SyntheticOracle, check_teacher

__all__ = [
    "SYNTHETIC",
    "TEACHERS",
    "AnnotatorReport",
    "Answer",
    "Oracle",
    "Rule",
    "ScriptedOracle",
    "SyntheticOracle",
    "annotator_reports",
    "check_teacher",
    "doubts",
    "estimate_errors",
    "resolve",
]
