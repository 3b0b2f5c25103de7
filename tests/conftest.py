"""Settings for all tests."""

import sys
from pathlib import Path

for folder in ("support", "cells"):  # oracles and shared helpers; cells of files of their own
    sys.path.insert(0, str(Path(__file__).parent / folder))
