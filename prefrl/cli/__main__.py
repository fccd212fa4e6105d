"""``python -m prefrl.cli``: the command line."""

import sys

from prefrl.cli import main

sys.exit(main())
