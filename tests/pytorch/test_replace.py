"""Exchange of the layers of a model."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import rnn_fast.torch  # noqa: E402
from rnn_fast.torch import replace  # noqa: E402


class Own(torch.nn.LSTM):
    """A subclass, which may compute something else."""


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.LSTM(3, 5, batch_first=True, dtype=torch.float64)
        self.rest = torch.nn.ModuleList([torch.nn.GRU(5, 5, batch_first=True, dtype=torch.float64)])
        self.own = Own(5, 5, batch_first=True, dtype=torch.float64)
        self.head = torch.nn.Linear(5, 1, dtype=torch.float64)

    def forward(self, x):
        x, _ = self.first(x)
        x, _ = self.rest[0](x)
        x, _ = self.own(x)
        return self.head(x)


def test_there_and_back():
    torch.manual_seed(0)
    model, x = Model(), torch.randn(11, 6, 3, dtype=torch.float64)
    layers, parameters = [*model.modules()], [*model.parameters()]
    expected = model(x)
    assert replace(model) is model
    assert type(model.first) is rnn_fast.torch.LSTM
    assert type(model.rest[0]) is rnn_fast.torch.GRU
    assert type(model.own) is Own
    torch.testing.assert_close(model(x), expected)
    assert all(a is b for a, b in zip(layers, model.modules(), strict=True))
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    replace(replace(model), inverse=True)
    assert type(model.first) is torch.nn.LSTM
    assert torch.equal(model(x), expected)


def test_training_goes_on():
    losses = []
    for exchanged in (False, True):
        torch.manual_seed(0)
        model, x = Model(), torch.randn(11, 6, 3, dtype=torch.float64)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(6):
            if exchanged and step in (1, 4):
                replace(model, inverse=step == 4)
            loss = (model(x) - x.sum(-1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[:6] == pytest.approx(losses[6:], rel=1e-9)
    assert losses[5] < losses[0]


def test_a_layer_itself():
    layer = torch.nn.RNN(3, 5, nonlinearity="relu", dtype=torch.float64)
    assert type(replace(layer)) is rnn_fast.torch.RNN
    assert layer.nonlinearity == "relu"


@pytest.mark.parametrize(
    "layer, error, message",
    [
        ({"proj_size": 2}, ValueError, "1 has proj_size=2"),
        ({"dtype": torch.float16}, TypeError, "1: parameters must be float32 or float64"),
        ({"device": "meta"}, ValueError, "1: parameters must be on the CPU"),
    ],
)
def test_nothing_is_replaced_if_one_cannot_be(layer, error, message):
    model = torch.nn.Sequential(torch.nn.GRU(3, 5), torch.nn.LSTM(5, 5, **layer))
    with pytest.raises(error, match=f"^{message}"):
        replace(model)
    assert type(model[0]) is torch.nn.GRU


def test_only_modules():
    with pytest.raises(TypeError, match="^module must be a torch.nn.Module; got list"):
        replace([])
