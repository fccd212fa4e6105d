"""Who answers queries, and how far to trust them."""

from prefrl.oracles.annotators import AnnotatorReport, Answer, annotator_reports, estimate_errors
from prefrl.oracles.base import Oracle
from prefrl.oracles.scripted import ScriptedOracle
from prefrl.oracles.synthetic import TEACHERS, SyntheticOracle, check_teacher

__all__ = [
    "TEACHERS",
    "AnnotatorReport",
    "Answer",
    "Oracle",
    "ScriptedOracle",
    "SyntheticOracle",
    "annotator_reports",
    "check_teacher",
    "estimate_errors",
]
