"""Types as users see them: a checker accepts the documentation's code and refuses mistakes."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from doc_pages import DOCS, blocks, pages

import rnn_fast
from rnn_fast import callbacks, tasks
from rnn_fast.cells.specs.leaky import FORMS, Form
from rnn_fast.cells.specs.simple import NONLINEARITIES, Nonlinearity
from rnn_fast.losses import LOSSES, LossName
from rnn_fast.losses.loss import SIGNS
from rnn_fast.models.architecture import Architecture, Described, NetworkOptions
from rnn_fast.models.loading import MODELS, ModelName
from rnn_fast.optimizers import OPTIMIZERS, OptimizerName
from rnn_fast.studies.ensemble import REDUCTIONS, Reduction
from rnn_fast.training.monitor import Measure
from rnn_fast.training.schedules import SCHEDULES, ScheduleName

SETUP = """\
from typing import Any
from typing_extensions import assert_type
import numpy as np
import rnn_fast
from rnn_fast import *
from rnn_fast.models.base import Model

X, y = np.zeros((8, 5, 1)), np.zeros(8)
several, flag = [np.zeros((5, 1)), np.zeros((3, 1))], bool(y.all())
model, stack = GRU(1, 8, seed=0), Stack("gru", 1, 8)
""".splitlines()
RIGHT = (
    "assert_type(model, GRU)",
    'assert_type(LSTM(1, 8, forget_bias=("chrono", 5), dtype=np.float64), LSTM)',
    'assert_type(LeakyRNN(1, 8, form="membrane", seed=np.random.default_rng(0)), LeakyRNN)',
    "assert_type(model.hidden_size, int)",
    "assert_type(model.Whh, np.ndarray)",
    "model.Whh = [[0.0]]",
    "assert_type(model.predict(X), np.ndarray)",
    "assert_type(model.predict(X, return_state=True), tuple[Any, Any])",
    "assert_type(model.predict(several), Any)",
    "assert_type(model.predict(X, return_state=flag), Any)",
    "assert_type(model.partial_fit(X, y), float)",
    "assert_type(model.partial_fit(X, y, return_state=True), tuple[float, Any])",
    "assert_type(model.vjp(X)[0], np.ndarray)",
    "assert_type(stack.vjp(X, return_state=True)[0], tuple[Any, Any])",
    "assert_type(model.jacobian(X, X), np.ndarray)",
    "assert_type(model.fit(X, y, optimizer=SGD(0.9), schedule=lambda epoch: 0.9**epoch), History)",
    "assert_type(model.fit(several, [0, 1], class_weight={0: 1, 1: 2.0}, verbose=2), History)",
    'assert_type(load("model.safetensors", seed=3), Model)',
    "assert_type(fit_many(GRU, grid(hidden_size=[1, 2]), X, y, input_size=1), Study)",
)
TYPOS = (
    "GRU(1, 8, sed=0)",
    "GRU(1)",
    'GRU("1", 8)',
    'GRU(1, 8, seed="0")',
    'GRU(1, 8, loss="bec")',
    'GRU(1, 8, dtype="float16")',
    'GRU(1, 8, bidirectional="yes")',
    'SimpleRNN(1, 8, nonlinearity="sigmoid")',
    'LeakyRNN(1, 8, form="rates")',
    "GRU(1, 8, peepholes=True)",
    'LSTM(1, 8, forget_bias="chrono")',
    "Stack(1, 8)",
    "model.fitt(X, y)",
    "model.fit(X)",
    "model.fit(X, y, epoch=3)",
    'model.fit(X, y, epochs="3")',
    'model.fit(X, y, optimizer="adan")',
    'model.fit(X, y, schedule="cosin")',
    'model.fit(X, y, class_weight="balance")',
    'model.fit(X, y, missing="NaN")',
    "model.fit(X, y, callbacks=print)",
    'model.fit_stream([(X, y)], optimiser="adam")',
    'model.partial_fit(X, y, optimizer="adan")',
    "model.predict(X, return_states=True)",
    "model.predict(X).shapes",
    "model.predict(X, return_state=True).shape",
    'model.stream(output="proba")',
    "model.hidden_size = 3",
    'model.hidden_size + "8"',
    "stack.vjp(X, trainig=True)",
    "SGD(momentun=0.9)",
    'EarlyStopping(10, monitor="val_los")',
    'EarlyStopping(10, mode="least")',
    'WarmUp(2, then="cosin")',
    'fit_many(GRU, grid(hidden_size=[1]), X, y, errors="ignore")',
    "fit_many(model, grid(hidden_size=[1]), X, y)",
    "load(3)",
    "rnn_fast.gru(1, 8)",
)
#: packages without types, or with so many that reading them would take most of the time
OTHERS = (
    "torch jax flax keras onnx onnxruntime sklearn scipy pandas matplotlib h5py joblib numba "
    "llvmlite safetensors tqdm"
)
#: Strict but for this: functions of the documentation have no annotations, a page is one namespace,
#: and the bases from `OTHERS` are not known.
SETTINGS = """[mypy]
strict = True
allow_untyped_defs = True
allow_incomplete_defs = True
allow_untyped_calls = True
allow_subclassing_any = True
allow_redefinition = True
""" + "".join(
    f"[mypy-{name}.*]\nfollow_imports = skip\nignore_missing_imports = True\n"
    for name in OTHERS.split()
)
#: the same for pyright, and variables that only a loop sets
UNREPORTED = ("reportMissingModuleSource", "reportPossiblyUnboundVariable")
UNTYPED = "from typing import Any\ndef __getattr__(name: str) -> Any: ...\n"
Errors = dict[str, dict[int, str]]  #: messages by file and line
#: the package that these tests import is the one whose types are read
ENV = {**os.environ, "PYTHONPATH": str(Path(rnn_fast.__file__).parents[1])}


def name_of(page: Path) -> str:
    """The name of a file for the code of a page."""
    return re.sub(r"\W", "_", f"page_{page.relative_to(DOCS.parent).with_suffix('')}") + ".py"


PAGES = {name_of(page): page for page in (DOCS.parent / "README.md", *pages())}
LINES = "lines.py"  #: the file of `RIGHT` and `TYPOS`, a line each


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the code of each page, every piece at its line, and with `LINES`."""
    folder = tmp_path_factory.mktemp("code")
    for name, page in PAGES.items():
        lines: list[str] = []
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language == "python":
                lines += [""] * (block.line - len(lines)) + block.code.splitlines()
        (folder / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    (folder / LINES).write_text("\n".join([*SETUP, *RIGHT, *TYPOS, ""]), encoding="utf-8")
    return folder


def check_lines(errors: Errors) -> None:
    """Check that all `TYPOS` are errors, and nothing else is."""
    lines = [*SETUP, *RIGHT, *TYPOS]
    wrong = {lines[line - 1]: text for line, text in errors.get(LINES, {}).items()}
    assert {line: text for line, text in wrong.items() if line not in TYPOS} == {}
    assert [line for line in TYPOS if line not in wrong] == []


@pytest.fixture(scope="module")
def errors(folder) -> Errors:
    """Errors that mypy finds in the folder, in one run."""
    pytest.importorskip("mypy")
    (folder / "mypy.ini").write_text(SETTINGS)
    command = [sys.executable, "-m", "mypy", "--output=json", "--cache-dir=cache", "."]
    done = subprocess.run(command, cwd=folder, env=ENV, capture_output=True, text=True)
    assert done.returncode < 2, done.stdout + done.stderr
    found: Errors = {}
    for error in map(json.loads, done.stdout.splitlines()):
        if error["severity"] == "error":
            found.setdefault(error["file"], {})[error["line"]] = error["message"]
    return found


def test_mypy_refuses_mistakes(errors):
    check_lines(errors)


@pytest.mark.parametrize("name", PAGES)
def test_mypy_accepts_the_documentation(name, errors):
    assert errors.get(name, {}) == {}


@pytest.mark.sweep  # needs Node, which its package downloads
def test_pyright(folder):
    pytest.importorskip("pyright")
    (folder / "pyrightconfig.json").write_text(json.dumps(dict.fromkeys(UNREPORTED, "none")))
    code = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    imported = re.findall(r"^(?:from|import) ([\w.]+)", code, re.M)
    for name in {*OTHERS.split(), *imported}:
        if name.partition(".")[0] in OTHERS.split():
            place = (folder / "typings").joinpath(*name.split("."))
            place.mkdir(parents=True, exist_ok=True)
            (place / "__init__.pyi").write_text(UNTYPED)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "."]
    done = subprocess.run(command, cwd=folder, env=ENV, capture_output=True, text=True)
    found: Errors = {}
    for error in json.loads(done.stdout)["generalDiagnostics"]:
        if error["severity"] == "error":
            line = error["range"]["start"]["line"] + 1
            found.setdefault(Path(error["file"]).name, {})[line] = error["message"]
    check_lines(found)
    assert {name: found[name] for name in PAGES if name in found} == {}


def public_names() -> set[str]:
    """Full names of the functions, the classes and their bases that the API's pages list."""
    rooms = [importlib.import_module(f"rnn_fast.{name}") for name in ("cells", "losses", "sklearn")]
    things = [getattr(room, name) for room in (rnn_fast, *rooms) for name in room.__all__]
    things += [*vars(callbacks).values(), *vars(tasks).values()]
    things += [base for thing in things if inspect.isclass(thing) for base in thing.__mro__]
    named = [thing for thing in things if hasattr(thing, "__qualname__")]
    return {f"{thing.__module__}.{thing.__qualname__}" for thing in named}


@pytest.mark.sweep
def test_the_public_interface_is_typed():
    pytest.importorskip("pyright")
    pytest.importorskip("sklearn")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--ignoreexternal"]
    command += ["--pythonpath", sys.executable, "--verifytypes", "rnn_fast"]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True)
    names = public_names()
    known = {
        symbol["name"]: symbol["isTypeKnown"]
        for symbol in json.loads(done.stdout)["typeCompleteness"]["symbols"]
        if {symbol["name"], symbol["name"].rpartition(".")[0]} & names
    }
    assert len(known) > 500
    unknown = [name for name, is_known in known.items() if not is_known]
    assert len(unknown) <= 0.02 * len(known), unknown


@pytest.mark.parametrize(
    ("names", "registry"),
    [
        (Form, FORMS),
        (LossName, LOSSES),
        (Measure, [f"{of}{measure}" for of in ("", "val_") for measure in SIGNS]),
        (ModelName, MODELS),
        (Nonlinearity, NONLINEARITIES),
        (OptimizerName, OPTIMIZERS),
        (Reduction, REDUCTIONS),
        (ScheduleName, SCHEDULES),
    ],
)
def test_names_are_the_registry_s(names, registry):
    assert [*get_args(names)] == [*registry]


@pytest.mark.parametrize("option", dataclasses.fields(Architecture), ids=lambda option: option.name)
def test_an_option_of_all_models_has_one_type(option):
    attribute = inspect.signature(vars(Described)[option.name].fget).return_annotation
    assert attribute == option.type
    sizes = ("input_size", "hidden_size", "output_size")
    assert (option.name in NetworkOptions.__annotations__) == (option.name not in sizes)
