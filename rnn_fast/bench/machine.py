"""What a measurement was made on, in words that name no one's machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..jit import vector_bytes

#: Distributions and what to call them; in the order of what `versions` gives.
PACKAGES = {
    "rnn_fast": "rnn_fast",
    "numpy": "NumPy",
    "numba": "Numba",
    "torch": "PyTorch",
    "jax": "JAX",
    "keras": "Keras",
}


def processor() -> str:
    """The processor's model."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()


def vectors() -> str:
    """The vector registers that the compiled programs use."""
    width, arm = vector_bytes(), platform.machine().lower() in ("arm64", "aarch64")
    name = "NEON" if arm else {64: "AVX-512", 32: "AVX2", 16: "SSE"}[width]
    return f"{name}, {8 * width}-bit vectors"


def versions() -> dict[str, str]:
    """Of Python and of what is installed of `PACKAGES`."""
    found = {"Python": platform.python_version()}
    for package, name in PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, object]:
    """Everything that figures depend on, for people and for JSON."""
    return {
        "processor": processor(),
        "vectors": vectors(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
    }
