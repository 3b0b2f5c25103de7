"""The table of a model's parts, as text and as HTML."""

from __future__ import annotations

import pytest
from pieces import Piece

from rnn_fast import GRU, LSTM, LeakyRNN, SimpleRNN, Stack


def test_summary():
    assert GRU(3, 4, seed=0).summary().splitlines() == [
        "GRU: 105 parameters in float32",
        "part      outputs    parameters                                    numbers",
        "input     (N, T, 3)                                                      0",
        "layer 0   (N, T, 4)  Wxh (12, 3), Whh (12, 4), bh (12,), bhn (4,)      100",
        "read-out  (N,)       Why (1, 4), by (1,)                                 5",
        "420 bytes of parameters; training keeps 96 bytes for each step of a sequence",
    ]


MODELS = (
    SimpleRNN(2, 3),
    SimpleRNN(2, 3, 2, num_layers=3, bidirectional=True, learn_initial_state=True),
    LeakyRNN(2, 3, learn_alpha=True, return_sequences=True, dtype="float64"),
    GRU(50, 3, embedding_size=4, loss="gaussian"),
    LSTM(2, 3, (5, 2), peepholes=True, learn_initial_state=True, loss="quantile"),
    Stack("gru_before", 2, 3, num_layers=2, bidirectional=True),
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_every_parameter_is_in_one_row(model):
    _, *rows, last = model.summary().splitlines()
    text = " ".join(rows)
    for name, array in model.parameters.items():
        assert text.count(f" {name} {array.shape}") == 1
    sizes = [int(row.split()[-1].replace(",", "")) for row in rows[1:]]
    assert sum(sizes) == sum(array.size for array in model.parameters.values())
    assert last.startswith(f"{sum(sizes) * model.dtype.itemsize:,} bytes of parameters")


@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        (MODELS[0], "(N,)"),
        (MODELS[2], "(N, T)"),
        (MODELS[3], "(N, 2)"),
        (MODELS[4], "(N, 5, 2, 3)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_outputs_are_those_of_the_decision_function(model, outputs):
    row = model.summary().splitlines()[-2]
    assert row.startswith("read-out") and f" {outputs} " in row


def test_a_notebook_shows_the_same_cells():
    for model in MODELS:
        cells = Piece(model._repr_html_()).cells
        assert cells[:4] == ["part", "outputs", "parameters", "numbers"]
        for cell in cells:
            assert cell in model.summary()
