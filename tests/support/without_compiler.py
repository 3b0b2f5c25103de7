"""What a loaded model answers, and a script that asks it in a process that cannot compile."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

BLOCKED = ("numba", "llvmlite", "tqdm")


class Blocked:
    """A finder that says of some packages that they are not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def answers(model, X, y, lengths):
    """Return all that a model says of X (N, T, I), by name."""
    logits, state = model.decision_function(X, lengths=lengths, return_state=True)
    found = {"logits": logits, "state": np.array(state), "predict": model.predict(X)}
    found["states"] = model.states(X, lengths=lengths)
    found["list"] = np.concatenate(model.predict(list(X)), axis=None)
    found["evaluate"] = np.array([*model.evaluate(X, y, lengths=lengths).values()])
    found["forward"], found["batch"] = model.forward(X[0]), model.forward(X)
    if not model.bidirectional:
        stream = model.stream(output="decision_function")
        found["run"], found["step"] = stream.run(X[0]), stream.step(X[0, 0])
        found["stream state"] = np.array(stream.state)
    return found


def assert_refused(*calls):
    """Make sure that each call says how to install a compiler."""
    from rnn_fast.errors import CompilerMissing

    for call in calls:
        try:
            call()
        except CompilerMissing as error:
            assert "pip install 'rnn_fast[jit]'" in str(error)
        else:
            raise AssertionError("nothing was raised")


def learn(model, X, y):
    """Ask a model for all that needs a compiler; the parameters stay as they are."""
    before = {name: array.copy() for name, array in model.parameters.items()}
    assert_refused(
        lambda: model.fit(X, y),
        lambda: model.fit_stream([(X, y)]),
        lambda: model.partial_fit(X, y),
        lambda: model.apply_gradients(before),
        lambda: model.loss_and_gradients(X, y),
        lambda: model.vjp(X),
        lambda: (model.forward(X[0]), model.backward(y[0])),
    )
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(array, before[name])


def others(folder, X):
    """Ask for a study, a library, a pack and the identity of a worker; nothing is written."""
    from rnn_fast import GRU, fit_many, grid
    from rnn_fast.cli.main import main as command_line
    from rnn_fast.studies.worker import identity

    common = {"input_size": 2, "loss": "mse", "store": folder / "store"}
    assert_refused(
        lambda: fit_many(GRU, grid(hidden_size=[2, 3]), X, X[:, 0, 0], **common),
        lambda: GRU(2, 3).to_library(folder / "library"),
        lambda: GRU(2, 3).jacobian(np.zeros((1, 1, 3)), X[0, 0]),
        identity,
    )
    assert command_line(["train", "--epochs", "1"]) == 1  # failed, not wrong usage
    assert command_line(["build", "x86-64", "--to", str(folder / "packs")]) == 1
    assert not [*folder.glob("store*"), *folder.glob("library*"), *folder.glob("packs")]


def main(folder):
    """Load all models of a folder; keep their answers beside them."""
    sys.meta_path.insert(0, Blocked())
    import rnn_fast

    data, found = np.load(folder / "data.npz"), {}
    X, lengths = data["X"], data["lengths"]
    for path in sorted(folder.glob("*.safetensors")):
        model, y = rnn_fast.load(path), data[path.stem]
        found |= {f"{path.stem} {k}": v for k, v in answers(model, X, y, lengths).items()}
        learn(model, X, y)
    others(folder, X)
    assert not sys.modules.keys() & set(BLOCKED)
    np.savez(folder / "found.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
