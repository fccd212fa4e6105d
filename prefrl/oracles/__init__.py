"""Who answers queries: the protocol, B-Pref's synthetic teachers, scripted oracles and those of users."""

from prefrl.oracles.base import Oracle
from prefrl.oracles.make import ORACLES, as_oracle, check_oracle_kind, make_oracle
from prefrl.oracles.scripted import ScriptedOracle
from prefrl.oracles.synthetic import SYNTHETIC, TEACHERS, SyntheticOracle, check_teacher, find_teacher

__all__ = [
    "ORACLES",
    "SYNTHETIC",
    "TEACHERS",
    "Oracle",
    "ScriptedOracle",
    "SyntheticOracle",
    "as_oracle",
    "check_oracle_kind",
    "check_teacher",
    "find_teacher",
    "make_oracle",
]
