"""Cells that a script declares: checks of the maths, the digest, the model class, its files."""

from __future__ import annotations

import pickle
import subprocess
import sys
import types

import leaky
import minimal_gated
import numpy as np
import pytest
from registered import registered

from rnn_fast import ModelFileError, Recurrent, load
from rnn_fast.cells import Row, Vector, check_gradient, declare, sigmoid, tanh
from rnn_fast.cells.declared import DECLARED
from rnn_fast.cells.specs import CELLS

registration = registered(CELLS, leaky.CELL, minimal_gated.CELL)
pytestmark = pytest.mark.usefixtures("cells_as_before")
FACTOR = 2.0
PLAIN = {"gates": ("a",), "rows": (Row("a", "a"),)}


def forward(point):
    (a,) = point.a
    r = tanh(FACTOR * a)
    return (r,), r


def backward(point, slopes):
    (r,) = point.a
    return (slopes.dh * (1 - r * r) * FACTOR,)


def simple(**changes):
    return declare("simple", **{**PLAIN, "forward": forward, "backward": backward, **changes})


def of(source, **names):
    """The functions of a piece of source code."""
    module = types.ModuleType("script")
    module.__dict__.update(names, tanh=tanh)
    exec(compile(source, "script.py", "exec"), module.__dict__)
    return module


# -------------------------------------------------------------------------------- the gradient


@pytest.mark.parametrize("cell", [leaky.CELL, minimal_gated.CELL], ids=lambda cell: cell.name)
def test_right_gradients_pass(cell):
    errors = check_gradient(cell)
    assert max(errors.values()) < 1e-7 and "h_prev" in errors
    assert check_gradient(cell.name.partition("@")[0]) == errors


def test_wrong_gradients_fail_by_name():
    right = minimal_gated.backward

    def wrong(point, slopes):
        (da, dn), dh = right(point, slopes)
        return (da, 1.01 * dn), dh

    cell = declare(
        "minimal_gated",
        gates=("f", "n"),
        rows=minimal_gated.CELL.rows,
        carries=True,
        **{**dict(minimal_gated.CELL.maths), "backward": wrong},
    )
    with pytest.raises(ValueError, match="wrong gradient of f, n, h_prev: relative errors f "):
        check_gradient(cell)


def test_a_part_that_is_carried_without_being_declared():
    def more(point):
        (a,) = point.a
        r = tanh(a)
        return (r,), 0.5 * point.h_prev + r

    def back(point, slopes):
        (r,) = point.a
        return (slopes.dh * (1 - r * r),)

    with pytest.raises(ValueError, match="wrong gradient of h_prev: .* `carries` says so"):
        check_gradient(declare("more", **PLAIN, forward=more, backward=back))


def test_only_declared_cells_can_be_checked():
    with pytest.raises(TypeError, match="cell must be a declared cell or its name; got 'gru'"):
        check_gradient("gru")


# ---------------------------------------------------------------------------------- the digest

SOURCE = """
scale = 2.0

def helper(a):
    return tanh(scale * a)

def forward(point):
    (a,) = point.a
    return (helper(a),), helper(a)
"""


def name_of(source, **names):
    return simple(forward=of(source, **names).forward).name


def test_the_same_content_has_the_same_name():
    other_place = "\n# a comment\n\n" + SOURCE + "\nunused = 3\n"
    assert name_of(SOURCE) == name_of(other_place) == DECLARED["simple"].name


@pytest.mark.parametrize(
    "change", [("2.0", "2.5"), ("tanh(scale * a)", "scale * tanh(a)"), ("(helper(a),)", "(a,)")]
)
def test_another_content_has_another_name(change):
    assert name_of(SOURCE) != name_of(SOURCE.replace(*change))


def test_another_function_by_the_same_name_has_another_name():
    """An alias says nothing: what counts is what it stands for."""
    one, other = (name_of(SOURCE.replace("tanh(", "f("), f=f) for f in (tanh, sigmoid))
    assert one != other


def test_another_declaration_has_another_name():
    assert simple().name != simple(options={"leak": 1.0}).name != simple(options={"leak": 2}).name


def test_a_new_declaration_leaves_older_models_alone():
    X = np.ones((2, 3, 1))
    model = Recurrent(1, 2, cell=minimal_gated.CELL, loss="mse", seed=0)
    before = model.predict(X)
    declare("minimal_gated", **PLAIN, forward=forward, backward=backward)
    np.testing.assert_array_equal(model.predict(X), before)
    assert Recurrent(1, 2, cell="minimal_gated").Whh.shape == (2, 2)


# ------------------------------------------------------------------------------- what is refused

REFUSED = {
    "no if": ("def forward(p):\n    return p.a, p.a[0] if p.a[0] else 0.0", "use where_less"),
    "no comparison": ("def forward(p):\n    return p.a, p.a[0] < 1", "not supported between"),
    "no power": ("def forward(p):\n    return p.a, p.a[0] ** 2", r"unsupported operand .* \*\*"),
    "h too early": (
        "def forward(p):\n    return p.a, p.h + 1.0",
        "unsupported operand .* 'NoneType'",
    ),
    "no memory": ("def forward(p):\n    return p.a, 2.0 * p.c_prev", "unsupported operand"),
    "no h": (
        "def forward(p):\n    return p.a",
        r"forward must return \(\(a,\), h\); got \(a number,\)",
    ),
    "rows": (
        "def forward(p):\n    return (), p.h_prev",
        r"must return \(\(a,\), h\); got \(\(\), a",
    ),
    "array": ("def forward(p):\n    return p.a, table * p.a[0]", "forward uses table, array"),
    "a function inside": (
        "def forward(p):\n    f = lambda a: a\n    return p.a, f(p.a[0])",
        "inside",
    ),
    "numpy": ("def forward(p):\n    return p.a, np.tanh(p.a[0])", "forward uses np, <module"),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_maths_that_cannot_be_compiled(source, message):
    module = of(source, np=np, table=np.arange(3.0))
    with pytest.raises((TypeError, ValueError), match=message):
        simple(forward=module.forward)
    assert "simple" not in DECLARED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reset": forward}, "reset and reset_backward belong to a late row"),
        ({"rows": (Row("a", "a", "x1"),)}, "each gate must meet x, 1 and h"),
        ({"forward": "forward"}, "forward must be a function; got 'forward'"),
        ({"has_memory": True}, r"forward must return \(\(a,\), h, c\)"),
        ({"vectors": (Vector("s"),)}, r"backward must return \(\(d a,\), \(dvectors\[0\],\)\)"),
        ({"keeps_rows": False}, "backward fails: .*NoneType"),
    ],
)
def test_bad_declarations(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        simple(**changes)


def test_bad_names():
    for name in ("gru", "no name", 3):
        with pytest.raises(ValueError, match="name must be an identifier and no built-in"):
            declare(name, **PLAIN, forward=forward, backward=backward)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"cell": "leaky_memry"},
            ValueError,
            "cell must be declared .*did you mean 'leaky_memory'",
        ),
        ({"cell": 3}, TypeError, "cell must be a declared cell or its name; got 3"),
        ({"cell": CELLS["gru"]}, TypeError, "cell must be a declared cell or its name"),
        ({"cell": "unit", "cell_options": {"lek": 1}}, ValueError, "cell_options has 'lek'"),
        (
            {"cell": "unit", "cell_options": {"leak": "a"}},
            TypeError,
            r"cell_options\['leak'\] must",
        ),
        ({"cell": "unit", "cell_options": 3}, TypeError, "cell_options must be a dict"),
    ],
    ids=str,
)
def test_bad_models(options, error, message):
    declare("unit", **PLAIN, options={"leak": 1}, forward=forward, backward=backward)
    with pytest.raises(error, match=message):
        Recurrent(1, 2, **options)


def test_names_that_models_have():
    def back(point, slopes):
        return (slopes.dh,), (slopes.dh,)

    cell = declare("unit", **PLAIN, vectors=(Vector("loss"),), forward=forward, backward=back)
    with pytest.raises(ValueError, match="a vector cannot be named 'loss'"):
        Recurrent(1, 2, cell=cell)
    rnn = declare("rnn", **PLAIN, forward=forward, backward=backward)
    with pytest.raises(ValueError, match="'rnn' is the name of a built-in model's cell"):
        Recurrent(1, 2, cell=rnn)


# ------------------------------------------------------------------------------- files and copies


@pytest.fixture
def saved(tmp_path):
    """A model of a cell that a module declares, and its file."""
    model = Recurrent(1, 3, cell=minimal_gated.CELL, loss="mse", seed=0)
    model.save(tmp_path / "model")
    return model, tmp_path / "model"


def test_round_trip(saved):
    model, path = saved
    for again in (load(path), pickle.loads(pickle.dumps(model))):
        assert repr(again) == repr(model) and "cell='minimal_gated'" in repr(model)
        np.testing.assert_array_equal(again._flat, model._flat)


def test_files_say_what_to_import(saved):
    del DECLARED["minimal_gated"]
    with pytest.raises(ModelFileError, match="is not declared: first import minimal_gated"):
        load(saved[1])


def test_a_file_of_a_cell_that_was_declared_otherwise(saved):
    declare("minimal_gated", **PLAIN, forward=forward, backward=backward)
    with pytest.raises(ModelFileError, match="do not fit its architecture"):
        load(saved[1])


def test_options_come_back(tmp_path):
    model = Recurrent(1, 3, cell=leaky.CELL, cell_options={"leak": 0.1}, seed=0)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.cell_options == {"leak": 0.1} and again._net.cell_options == (0.1,)
    assert Recurrent(1, 3, cell=leaky.CELL).cell_options == {"leak": leaky.LEAK}


# ------------------------------------------------------------------------------ other processes

SCRIPT = """
import sys
import numpy as np
from rnn_fast import Recurrent
from rnn_fast.cells import Row, declare, tanh

def forward(point):
    (a,) = point.a
    return (tanh(a),), tanh(a)

def backward(point, slopes):
    (r,) = point.a
    return (slopes.dh * (1 - r * r),)

cell = declare("plain", gates=("a",), rows=(Row("a", "a"),), forward=forward, backward=backward)
"""
USE = """
model = Recurrent(1, 3, cell="plain", loss="mse", seed=0)
print(model.predict(np.ones((2, 3, 1)))[0], "numba" in sys.modules)
"""


def run_script(path, code):
    path.write_text(code)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, cwd=path.parent)
    assert not done.returncode, done.stderr
    return done.stdout.split()


def test_another_script_loads_what_one_has_compiled(tmp_path):
    first, *_ = run_script(tmp_path / "one.py", SCRIPT + USE)
    again, loaded = run_script(tmp_path / "two.py", f"# another\n{SCRIPT}\nx = 1\n{USE}")
    assert (first, loaded) == (again, "False")


def test_unpickling_imports_the_module(tmp_path):
    (tmp_path / "my_cells.py").write_text(SCRIPT)
    save = "import pickle, my_cells\nfrom rnn_fast import Recurrent\n"
    save += "m = Recurrent(1, 3, cell='plain', seed=0)\nm.save('model')\n"
    save += "pickle.dump(m, open('pickled', 'wb'))\nprint(m.Whh[0, 0])"
    (wanted,) = run_script(tmp_path / "save.py", save)
    read = "import pickle\nprint(pickle.load(open('pickled', 'rb')).Whh[0, 0])"
    assert run_script(tmp_path / "read.py", read) == [wanted]
    with pytest.raises(
        ModelFileError, match="'plain' of the model is not declared: first import my_cells"
    ):
        load(tmp_path / "model")
