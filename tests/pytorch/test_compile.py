"""Layers in compiled graphs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch._dynamo")

from pairs import pair, same  # noqa: E402

from rnn_fast.torch.autograd import HELD  # noqa: E402

# PyTorch hides it from users itself
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute")


class Model(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, hx=None):
        output, final = self.layer(x.sin(), hx)
        return output.cos(), final


@pytest.fixture(params=["whole", "broken"])
def compiled(request):
    """Compile into one graph, which PyTorch allows on demand alone, or as it does by itself."""
    whole = request.param == "whole"
    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=whole):
        yield lambda model: torch.compile(model, backend="aot_eager", fullgraph=whole)
    torch._dynamo.reset()


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_training(compiled, kind):
    torch.manual_seed(0)
    theirs, ours = pair(kind, 3, 5, num_layers=2)
    model, before = compiled(Model(ours)), len(HELD)
    x = torch.randn(6, 11, 3, dtype=torch.float64, requires_grad=True)
    h, c = torch.randn(2, 2, 11, 5, dtype=torch.float64)
    for hx in (None, (h, c) if kind == "LSTM" else h):
        results = []
        for each in (Model(theirs), model):
            output, final = each(x, hx)
            loss = output.sum() + (final[1] if kind == "LSTM" else final).sin().sum()
            results.append([output, *torch.autograd.grad(loss, [x, *each.parameters()])])
        same(*results)
    assert len(HELD) == before


def test_prediction_and_dropout(compiled):
    torch.manual_seed(0)
    theirs, ours = pair("LSTM", 3, 5, num_layers=2, dropout=0.5)
    x, before = torch.randn(6, 11, 3, dtype=torch.float64), len(HELD)
    model = compiled(Model(ours))
    assert not torch.equal(model(x)[0], model(x)[0])
    ours.eval()
    with torch.no_grad():
        same([model(x)[0]], [Model(theirs.eval())(x)[0]])
    assert len(HELD) == before
