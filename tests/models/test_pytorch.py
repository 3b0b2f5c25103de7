"""Weights from PyTorch and back: the same numbers come out."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, SimpleRNN, from_torch

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 6, 3))
KINDS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
every_kind = pytest.mark.parametrize("kind", KINDS)


def theirs(rnn, head, x, sequences=False):
    y, last = rnn(x)
    if not sequences:
        last = last[0] if isinstance(last, tuple) else last
        D = 1 + rnn.bidirectional
        y = last[-D:].transpose(0, 1).reshape(len(x), -1)
    return head(y).detach().numpy()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize(("layers", "both"), [(1, False), (1, True), (3, False), (2, True)])
@every_kind
def test_from_torch(kind, layers, both, sequences, bias):
    torch.manual_seed(layers)
    rnn = KINDS[kind](
        3, 4, layers, bidirectional=both, batch_first=True, bias=bias, dtype=torch.float64
    )
    head = torch.nn.Linear(4 * (1 + both), 2, bias=bias, dtype=torch.float64)
    model = from_torch(rnn, head, return_sequences=sequences)
    wanted = theirs(rnn, head, torch.from_numpy(X), sequences)
    np.testing.assert_allclose(model.decision_function(X), wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    "model",
    [
        lambda **o: SimpleRNN(3, 4, 2, nonlinearity="relu", **o),
        lambda **o: GRU(3, 4, 2, num_layers=2, bidirectional=True, return_sequences=True, **o),
        lambda **o: LSTM(3, 4, 2, num_layers=2, learn_initial_state=True, **o),
        lambda **o: LSTM(7, 4, 2, embedding_size=5, return_sequences=True, **o),
    ],
)
def test_there_and_back(model, dtype):
    model = model(dtype=dtype, seed=0, dropout=0.0)
    for view in model.parameters.values():
        view[...] = RNG.standard_normal(view.shape) / 2
    x = RNG.integers(0, 7, (5, 6)) if model.embedding_size else X.astype(dtype)
    module = model.to_torch()
    got = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(
        got, model.decision_function(x), atol=1e-12 if dtype == "f8" else 1e-5
    )
    if not model.learn_initial_state:
        again = from_torch(module, return_sequences=model.return_sequences)
        for name, view in model.parameters.items():
            np.testing.assert_array_equal(getattr(again, name), view)


def test_fitting_goes_on_as_in_torch():
    """One step of descent on the same weights."""
    model = GRU(3, 4, 2, loss="mse", dtype="f8", seed=1)
    y = RNG.standard_normal((5, 2))
    module = model.to_torch()
    frozen = [module.rnn.bias_hh_l0]
    torch.nn.functional.mse_loss(module(torch.from_numpy(X)), torch.from_numpy(y)).backward()
    with torch.no_grad():
        for parameter in module.parameters():
            if not any(parameter is other for other in frozen):
                parameter -= 0.1 * parameter.grad
        module.rnn.bias_hh_l0[8:] -= 0.1 * module.rnn.bias_hh_l0.grad[8:]
    model.fit(X, y, epochs=1, batch_size=None, learning_rate=0.1)
    got = module(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(got, model.decision_function(X), rtol=0, atol=1e-13)


def test_what_does_not_fit_is_refused():
    rnn, head = torch.nn.LSTM(3, 4), torch.nn.Linear(4, 2)
    with pytest.raises(TypeError, match="^one recurrent layer .* Linear has none$"):
        from_torch(head, head)
    with pytest.raises(TypeError, match="^one Linear layer is needed; LSTM has none$"):
        from_torch(rnn)
    with pytest.raises(TypeError, match="^one Embedding is needed; Linear has none$"):
        from_torch(rnn, head, head)
    with pytest.raises(TypeError, match="^one recurrent layer .* int has none$"):
        from_torch(3, head)
    with pytest.raises(TypeError, match="^one Linear layer is needed; Sequential has 2$"):
        from_torch(torch.nn.Sequential(rnn, head, head.half().float(), torch.nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="^head must take the 4 states of rnn; it takes 5$"):
        from_torch(rnn, torch.nn.Linear(5, 2))
    with pytest.raises(ValueError, match="^embedding has 5 outputs, but rnn takes 3$"):
        from_torch(rnn, head, torch.nn.Embedding(9, 5))
    with pytest.raises(ValueError, match="proj_size=2"):
        from_torch(torch.nn.LSTM(3, 4, proj_size=2), head)
    with pytest.raises(ValueError, match="^dtype must be float32 or float64; got float16$"):
        from_torch(rnn.half(), head.half())
    with pytest.raises(ValueError, match="no LSTM with peepholes"):
        LSTM(2, 3, peepholes=True).to_torch()
    with pytest.raises(ValueError, match="no GRU with reset_after=False"):
        GRU(2, 3, reset_after=False).to_torch()


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        ImportError, match=r"torch is not installed; `pip install .rnn_fast\[torch\]"
    ):
        SimpleRNN(2, 3).to_torch()
