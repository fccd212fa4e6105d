"""Which queries to ask, and when."""

from prefrl.queries.candidates import Candidates, Choice, draw_candidates
from prefrl.queries.repeats import swap_repeat
from prefrl.queries.samplers import SAMPLERS, Sampler, find_sampler, select
from prefrl.queries.schedule import LabelSchedule, check_schedule, initial_segments

__all__ = [
    "SAMPLERS",
    "Candidates",
    "Choice",
    "LabelSchedule",
    "Sampler",
    "check_schedule",
    "draw_candidates",
    "find_sampler",
    "initial_segments",
    "select",
    "swap_repeat",
]
