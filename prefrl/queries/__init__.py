"""Which queries to ask, and when."""

from prefrl.queries.repeats import swap_repeat
from prefrl.queries.samplers import SAMPLERS, draw_candidates, select
from prefrl.queries.schedule import LabelSchedule, check_schedule, initial_segments

__all__ = [
    "SAMPLERS",
    "LabelSchedule",
    "check_schedule",
    "draw_candidates",
    "initial_segments",
    "select",
    "swap_repeat",
]
