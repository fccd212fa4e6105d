"""stub"""

from pathlib import Path
from typing import Any


def save_agent(folder: Path, model: Any) -> None:
    """stub"""
