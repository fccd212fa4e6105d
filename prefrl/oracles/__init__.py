"""Who answers queries: the protocol, B-Pref's synthetic teachers, and a scripted oracle."""

from prefrl.oracles.base import Oracle
from prefrl.oracles.scripted import ScriptedOracle
from prefrl.oracles.synthetic import SYNTHETIC, TEACHERS, SyntheticOracle, check_teacher

__all__ = ["SYNTHETIC", "TEACHERS", "Oracle", "ScriptedOracle", "SyntheticOracle", "check_teacher"]
