"""Fingerprints of code outside the compiled floors."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import rnn_fast

PRINT = "from rnn_fast.jit.sources import module_fingerprint as f\nprint(f({!r}))\n"


def python(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(Path(rnn_fast.__file__).parent.parent)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_script_has_the_fingerprint_of_its_file(tmp_path):
    script = tmp_path / "script.py"
    for code in (PRINT.format("__main__"), "# edited\n" + PRINT.format("__main__")):
        script.write_text(code)
        wanted = hashlib.sha256(script.read_bytes()).hexdigest()
        assert python(script).stdout.strip() == wanted


def test_so_has_a_module_whether_or_not_it_is_imported(tmp_path):
    script, module = tmp_path / "script.py", tmp_path / "maths.py"
    module.write_text("x = 1\n")
    for before in ("", "import maths\n"):
        script.write_text(before + PRINT.format("maths"))
        wanted = hashlib.sha256(module.read_bytes()).hexdigest()
        assert python(script).stdout.strip() == wanted


def test_code_that_is_in_no_file_is_refused():
    error = python("-c", PRINT.format("__main__")).stderr
    assert "ImportError: the source of __main__ cannot be read" in error
    assert "ImportError: the source of nothing" in python("-c", PRINT.format("nothing")).stderr
