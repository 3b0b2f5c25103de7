"""All options against `torch.nn` in float64: outputs, states, every gradient."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pairs import batch, called, check, pair  # noqa: E402

from rnn_fast.tuning import tuned  # noqa: E402

KINDS = ("RNN", "GRU", "LSTM")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_all_at_once(kind, batch_first):
    layers = pair(kind, 3, 5, num_layers=2, bidirectional=True, batch_first=batch_first)
    check(layers, state=True)
    check(layers, state=True, lengths=torch.tensor([3, 6, 1, 2, 6, 4, 5, 1, 1, 3, 2]))


def test_without_biases_and_states():
    check(pair("GRU", 3, 5, bias=False))
    check(pair("LSTM", 1, 1, bias=False, bidirectional=True))


def test_sorted_and_hand_made_packs():
    layers = theirs, ours = pair("LSTM", 3, 5, bidirectional=True)
    lengths = torch.tensor([6, 5, 5, 4, 3, 3, 2, 2, 1, 1, 1])
    check(layers, state=True, lengths=lengths, enforce_sorted=True)
    data = torch.randn(5, 3, dtype=torch.float64)
    packs = torch.nn.utils.rnn.PackedSequence(data, torch.tensor([3, 2]))
    for a, b in zip(theirs(packs)[0][:2], ours(packs)[0][:2], strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("batch_first", [False, True])
def test_one_sequence_without_a_batch(batch_first):
    check(pair("LSTM", 3, 5, bidirectional=True, batch_first=batch_first), 0, state=True)


def test_sequences_packed_and_one_by_one():
    _, layer = pair("LSTM", 3, 5, num_layers=2, bidirectional=True)
    lengths = torch.tensor([2, 6, 1, 3, 6, 5, 4, 1, 2, 3, 6])
    inputs = batch(layer, lengths=lengths)
    packed = layer(torch.nn.utils.rnn.pack_padded_sequence(inputs.x, lengths, enforce_sorted=False))
    output, _ = torch.nn.utils.rnn.pad_packed_sequence(packed[0])
    for k, length in enumerate(lengths):
        alone, final = layer(inputs.x[:length, k : k + 1])
        torch.testing.assert_close(output[:length, k : k + 1], alone)
        torch.testing.assert_close(packed[1][1][:, k : k + 1], final[1])


def test_states_that_are_not_kept():
    with tuned(pass_bytes=0):
        check(pair("LSTM", 3, 5, num_layers=2, bidirectional=True), state=True)


@pytest.mark.parametrize("kind, dropout", [("RNN", 0.0), ("GRU", 0.0), ("LSTM", 0.4)])
def test_gradcheck(kind, dropout):
    _, layer = pair(kind, 2, 3, num_layers=2, bidirectional=True, dropout=dropout)
    inputs = batch(layer, 5, 4, state=True, lengths=torch.tensor([2, 4, 1, 3, 4]))
    tensors = [inputs.x, *inputs.states]
    for tensor in tensors:
        tensor.requires_grad_()

    def function(x, *others):
        n = len(inputs.states)
        for parameter, weight in zip(layer._flat_weights_names, others[n:], strict=True):
            assert getattr(layer, parameter) is weight
        torch.manual_seed(0)
        output, final = called(layer, inputs, x, others[:n])
        return output[0], *final

    assert torch.autograd.gradcheck(function, (*tensors, *layer.parameters()))


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(500))
def test_any_options(seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    kind, options = str(rng.choice(KINDS)), {}
    if kind == "RNN":
        options["nonlinearity"] = str(rng.choice(["tanh", "relu"]))
    for name in ("bias", "bidirectional", "batch_first"):
        options[name] = bool(rng.integers(2))
    sizes = [int(n) for n in rng.integers(1, [8, 20, 4])]
    N, T = int(rng.integers(0, 24)), int(rng.integers(1, 12))
    lengths = None
    if N and rng.integers(2):
        lengths = torch.tensor(rng.integers(1, T + 1, N))
        lengths[0] = T
    layers = pair(kind, *sizes, **options)
    check(layers, N, T, state=bool(rng.integers(2)), lengths=lengths)
