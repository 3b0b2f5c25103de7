"""Packs for 64-bit ARM, run by qemu: training and gradients as on this machine.

``RNN_FAST_ARM`` names a folder with an ARM system: ``root/usr/bin/python3`` with the libraries it
needs, and ``site`` with NumPy, safetensors and tqdm for it.  On Debian::

    dpkg --add-architecture arm64 && apt-get update && apt-get install qemu-user
    apt-get download python3.11-minimal:arm64 libpython3.11-stdlib:arm64 libc6:arm64 ...
    for package in *.deb; do dpkg -x $package root; done
    pip download --no-deps --only-binary :all: --platform manylinux_2_28_aarch64 ... numpy
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnn_fast
from rnn_fast.engine.build import build_pack

pytestmark = pytest.mark.sweep

#: what the script below asks for
GROUPS = (
    "batch_epoch(float64, 16, 1, 2, 0)",
    "predictions(float64, 16, 1, 2, 0)",
    "unit_epoch(float64, 1, 8",
    "unit_predictions(float64, 1, 8",
    "single_epoch(float64, 2, 4",
    "descent(float64",
    "batch_epoch(float32, 16, 1, 4, 0)",
    "predictions(float32, 16, 1, 4, 0)",
    "descent(float32",
)

SCRIPT = """
import platform, sys
import numpy as np
from rnn_fast import GRU, LSTM, SimpleRNN
from rnn_fast.jit import level
from rnn_fast.tuning import tuned

rng = np.random.default_rng(0)
X, y = rng.standard_normal((37, 9, 3)), rng.standard_normal((37, 2))
lengths = rng.integers(1, 10, 37)
found = {}
settings = {"verbose": False, "n_threads": 1}
with tuned(tiles={32: ((16, 1, 1, 0.96),), 16: ((4, 2, 1, 0.97),)}):
    for kind in (SimpleRNN, GRU, LSTM):
        for options in ({}, {"num_layers": 2, "bidirectional": True}):
            model = kind(3, 7, 2, loss="mse", dtype="float64", seed=0, **options)
            name = f"{kind.__name__} {len(options)} "
            found[name + "loss"], gradients = model.loss_and_gradients(X, y, lengths=lengths)
            found |= {name + key: value for key, value in gradients.items()}
            model.fit(X, y, lengths=lengths, epochs=3, batch_size=20, optimizer="adam", **settings)
            model.fit(X[:3], y[:3], epochs=1, batch_size=1, optimizer="sgd", **settings)
            found |= {name + "trained " + key: value for key, value in model.parameters.items()}
            found[name + "predictions"] = model.predict(X, lengths=lengths)
    model = LSTM(3, 8, dtype="float32", seed=0)
    model.fit(X, y[:, 0] > 0, epochs=2, batch_size=20, **settings)
    found["float32"] = model.predict_proba(X)
np.savez(sys.argv[1], **found)
print(platform.machine(), level(), "numba" in sys.modules)
"""


@pytest.fixture
def system():
    """The folder of an ARM system."""
    folder, emulator = os.environ.get("RNN_FAST_ARM"), shutil.which("qemu-aarch64")
    if not folder or emulator is None:
        pytest.skip("needs qemu-aarch64 and an ARM system in RNN_FAST_ARM")
    return Path(folder), emulator


def test_training_and_gradients_under_qemu(system, tmp_path):
    folder, emulator = system
    jobs = os.cpu_count() or 1
    build_pack("aarch64", tmp_path, jobs=jobs, chosen=lambda name: any(g in name for g in GROUPS))
    package = Path(rnn_fast.__file__).parent.parent
    runs = {
        "arm.npz": [emulator, str(folder / "root/usr/bin/python3.11")],
        "here.npz": [sys.executable],
    }
    outputs = []
    for file, command in runs.items():
        environment = os.environ | {"PYTHONPATH": str(package)}
        if file == "arm.npz":
            environment |= {
                "QEMU_LD_PREFIX": str(folder / "root"),
                "RNN_FAST_PACKS": str(tmp_path),
                "PYTHONPATH": f"{package}{os.pathsep}{folder / 'site'}",
            }
        out = subprocess.run(
            [*command, "-c", SCRIPT, str(tmp_path / file)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert out.returncode == 0, out.stderr
        outputs.append(out.stdout.split())
    assert outputs[0] == ["aarch64", "aarch64", "False"]
    arm, here = (np.load(tmp_path / file) for file in runs)
    assert set(arm) == set(here)
    for name in arm:
        tolerance = 1e-5 if name == "float32" else 1e-12
        limit = tolerance * abs(here[name]).max()
        np.testing.assert_allclose(arm[name], here[name], rtol=0, atol=limit, err_msg=name)
