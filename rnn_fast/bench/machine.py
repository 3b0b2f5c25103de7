"""Description of the machine that measures, without its host name or its user."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..jit import vector_bytes

#: Names of distributions in a report, in the order in which `versions` returns them.
PACKAGES = {
    "rnn_fast": "rnn_fast",
    "numpy": "NumPy",
    "numba": "Numba",
    "torch": "PyTorch",
    "jax": "JAX",
    "keras": "Keras",
    "onnxruntime": "onnxruntime",
}


def processor() -> str:
    """Return the model of the processor."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()


def vectors() -> str:
    """Return the kind and width of the vector registers that compiled programs use."""
    width, arm = vector_bytes(), platform.machine().lower() in ("arm64", "aarch64")
    name = "NEON" if arm else {64: "AVX-512", 32: "AVX2", 16: "SSE"}[width]
    return f"{name}, {8 * width}-bit vectors"


def versions() -> dict[str, str]:
    """Return the versions of Python and of all installed `PACKAGES`."""
    found = {"Python": platform.python_version()}
    for package, name in PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, object]:
    """Return the properties of the machine that figures depend on."""
    return {
        "processor": processor(),
        "vectors": vectors(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
    }
