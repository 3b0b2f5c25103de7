"""Settings for all tests."""

import sys
from pathlib import Path

for folder in ("support", "cells", "losses", "optimizers"):  # shared helpers; what only tests name
    sys.path.insert(0, str(Path(__file__).parent / folder))
