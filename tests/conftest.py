"""Settings for all tests."""

import sys
from pathlib import Path

for folder in (".", "cells"):  # the oracle and other helpers beside the tests
    sys.path.insert(0, str(Path(__file__).parent / folder))
