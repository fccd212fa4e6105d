"""How reliable annotators are: error model, Dawid and Skene, and answers that contradict each other."""

from prefrl.annotators.conflicts import Rule, resolve
from prefrl.annotators.error_model import (
    AnnotatorReport,
    Answer,
    annotator_diagnostics,
    annotator_reports,
    estimate_errors,
)

__all__ = [
    "AnnotatorReport",
    "Answer",
    "Rule",
    "annotator_diagnostics",
    "annotator_reports",
    "estimate_errors",
    "resolve",
]
