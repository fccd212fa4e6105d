"""The settings of a run, as frozen dataclasses, and their JSON form."""

from prefrl.config.serialise import from_json, to_json
from prefrl.config.settings import (
    ROLES,
    AgentConfig,
    EnvConfig,
    JsonDict,
    OracleConfig,
    Precision,
    QueryConfig,
    RewardConfig,
    RunConfig,
    RuntimeConfig,
    ScheduleConfig,
    TeacherConfig,
)
from prefrl.config.text import Aggregation, DPOConfig, FineTuningConfig, GRPOConfig, PreferenceKind

__all__ = [
    "ROLES",
    "AgentConfig",
    "Aggregation",
    "DPOConfig",
    "EnvConfig",
    "FineTuningConfig",
    "GRPOConfig",
    "JsonDict",
    "OracleConfig",
    "Precision",
    "PreferenceKind",
    "QueryConfig",
    "RewardConfig",
    "RunConfig",
    "RuntimeConfig",
    "ScheduleConfig",
    "TeacherConfig",
    "from_json",
    "to_json",
]
