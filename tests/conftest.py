"""What holds for all tests."""

from __future__ import annotations

import os

# Before anything imports it: names of models that are none are not looked for in the net.
os.environ["HF_HUB_OFFLINE"] = "1"
