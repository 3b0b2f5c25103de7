"""Weights from PyTorch and back: the same numbers come out."""

from __future__ import annotations

import copy
import pickle
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
    with pytest.raises(TypeError, match="^embedding must be a torch.nn.Embedding; got Linear"):
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


# --------------------------------------------------------------------- modules with a forward


class Net(torch.nn.Module):
    """What people write: `read` makes the head's input of the layer's output and last state."""

    def __init__(self, kind="gru", read=lambda out, last: out[:, -1], end=lambda y: y, **options):
        super().__init__()
        self.rnn = KINDS[kind](3, 4, **{"batch_first": True, **options})
        self.fc = torch.nn.Linear(4 * (1 + self.rnn.bidirectional), 2)
        self.read, self.end = read, end

    def forward(self, x):
        out, last = self.rnn(x)
        return self.end(self.fc(self.read(out, last[0] if isinstance(last, tuple) else last)))


class Words(torch.nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.embedding = torch.nn.Embedding(9, 3, **options)
        self.rnn, self.fc = torch.nn.LSTM(3, 4, batch_first=True), torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.rnn(self.embedding(x))[0])


@pytest.mark.parametrize(
    ("options", "sequences"),
    [
        ({}, False),
        ({"read": lambda out, last: last[-1]}, False),
        ({"kind": "lstm", "num_layers": 2, "dropout": 0.5}, False),
        ({"kind": "rnn", "read": lambda out, last: out}, True),
        ({"read": lambda out, last: torch.cat([last[-2], last[-1]], 1), "bidirectional": True}, 0),
        ({"read": lambda out, last: out, "bidirectional": True}, True),
        ({"read": lambda out, last: out[-1], "batch_first": False}, False),
        ({"read": lambda out, last: out, "batch_first": False}, True),
        ({"end": lambda y: (y, None)}, False),
    ],
)
def test_a_module_that_computes_the_same(options, sequences):
    module = Net(**options).train()
    model = from_torch(module, return_sequences=bool(sequences))
    assert module.training and module.rnn.training and model.dropout == module.rnn.dropout
    x = torch.from_numpy(X.astype("f4"))
    out = module.eval()(x if module.rnn.batch_first else x.transpose(0, 1))
    out = out[0] if isinstance(out, tuple) else out
    if sequences and not module.rnn.batch_first:
        out = out.transpose(0, 1)
    np.testing.assert_allclose(model.decision_function(X), out.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (lambda: Net(read=lambda out, last: out.mean(1)), "its forward differs from theirs by"),
        (lambda: Net(read=lambda out, last: out[:, -1].relu()), "its forward differs"),
        (lambda: Net(end=torch.sigmoid), "its forward differs"),
        (lambda: Net(bidirectional=True), "its forward differs"),  # reverse state of the last step
        (lambda: Net(read=lambda out, last: out), r"returns \(3, 5, 2\) where they give \(3, 2\)"),
        (lambda: Net(end=lambda y: {"y": y}), "its forward returns dict"),
        (lambda: Net(end=lambda y: y.nothing), "its forward fails"),
        (lambda: Net(read=lambda out, last: out.flatten(1)), "its forward fails"),
        (Words, r"its forward returns \(3, 5, 2\)"),
    ],
)
def test_a_module_that_computes_something_else(module, why):
    module = module()
    with pytest.raises(ValueError, match=f"^module: (Net|Words) does more than .*{why}.*pass them"):
        from_torch(module)
    model = from_torch(module.rnn, module.fc, getattr(module, "embedding", None))
    assert model.hidden_size == 4


def test_parts_that_a_model_does_not_have():
    for name, part, why in [
        ("scale", torch.nn.Parameter(torch.ones(1)), "has the parameter scale"),
        ("norm", torch.nn.LayerNorm(3), r"has the parameter norm\.weight"),
        ("drop", torch.nn.Dropout(0.5), "drop drops out"),
    ]:
        module = Net()
        setattr(module, name, part)
        with pytest.raises(ValueError, match=f"^module: Net does more .*{why}"):
            from_torch(module)

    class Doubled(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    with pytest.raises(TypeError, match="^head must compute as torch.nn.Linear; Doubled has a fo"):
        from_torch(torch.nn.GRU(3, 4), Doubled(4, 2))
    head = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU())
    with pytest.raises(TypeError, match="^head must be a torch.nn.Linear; got Sequential"):
        from_torch(torch.nn.GRU(3, 4), head)


def test_what_pytorch_would_not_train():
    assert from_torch(Words(), return_sequences=True).embedding_size == 3
    for options, name in [({"padding_idx": 0}, "padding_idx=0"), ({"max_norm": 1.0}, "max_norm=1")]:
        with pytest.raises(ValueError, match=f"^embedding has {name}.*; set embedding"):
            from_torch(Words(**options), return_sequences=True)
    for name in ("rnn.weight_hh_l0", "fc.bias", "embedding.weight"):
        module = Words()
        module.get_parameter(name).requires_grad_(False)
        with pytest.raises(ValueError, match=f"{name.split('.')[1]}: frozen .*requires_grad_"):
            from_torch(module, return_sequences=True)
    module = Words()
    module.rnn.bias_hh_l0.requires_grad_(False)  # the other bias makes up for it
    from_torch(module, return_sequences=True)
    module.rnn.bias_ih_l0.requires_grad_(False)
    with pytest.raises(ValueError, match="^bias_ih_l0 and bias_hh_l0: frozen"):
        from_torch(module, return_sequences=True)


def test_learned_states_and_sequences_come_back():
    model = LSTM(3, 4, 2, learn_initial_state=True, return_sequences=True, seed=0, dtype="f8")
    model.h0, model.c0 = RNG.standard_normal((2, 1, 4))
    again = from_torch(model.to_torch(), return_sequences=True)
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), rtol=1e-12)
    assert again.learn_initial_state
    with pytest.raises(ValueError, match=r"returns \(3, 5, 2\) where they give \(3, 2\)"):
        from_torch(model.to_torch())


def test_a_module_goes_through_a_file(tmp_path):
    model = LSTM(9, 4, 2, embedding_size=3, learn_initial_state=True, seed=0)
    module, x = model.to_torch(), torch.from_numpy(RNG.integers(0, 9, (5, 6)))
    torch.save(module, tmp_path / "module")
    for again in (
        torch.load(tmp_path / "module", weights_only=False),
        pickle.loads(pickle.dumps(module)),
        copy.deepcopy(module),
    ):
        assert torch.equal(again(x), module(x))
    other = LSTM(9, 4, 2, embedding_size=3, learn_initial_state=True, seed=1).to_torch()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), module(x))
