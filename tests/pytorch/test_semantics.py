"""The behaviour of `torch.nn`'s layers: states, errors, copies, autograd's rules, modes."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import threading

import pytest

torch = pytest.importorskip("torch")

from pairs import batch, called, check, computed, pair, same  # noqa: E402

import rnn_fast.torch  # noqa: E402
from rnn_fast.torch.autograd import HELD  # noqa: E402
from rnn_fast.tuning import tuned  # noqa: E402

KINDS = ("RNN", "GRU", "LSTM")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def lstm(**options):
    return rnn_fast.torch.LSTM(3, 5, dtype=torch.float64, **options)


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_same_start_names_and_repr(kind):
    options = {"num_layers": 2, "bidirectional": True, "dropout": 0.1}
    torch.manual_seed(3)
    theirs = getattr(torch.nn, kind)(3, 5, **options)
    torch.manual_seed(3)
    ours = getattr(rnn_fast.torch, kind)(3, 5, **options)
    assert isinstance(ours, type(theirs))
    assert repr(ours) == repr(theirs)
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    same(ours.parameters(), theirs.parameters(), 0.0)


def saved_and_loaded(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer)), saved_and_loaded]
)
def test_copies(copied):
    layer, x = lstm(num_layers=2), numbers(6, 11, 3)
    other = copied(layer)
    assert type(other) is rnn_fast.torch.LSTM
    assert torch.equal(other(x)[0], layer(x)[0])
    with torch.no_grad():
        other.weight_hh_l0.zero_()
    assert not torch.equal(other(x)[0], layer(x)[0])


def test_conversion_of_parameters():
    layer = rnn_fast.torch.LSTM(3, 5).double()
    assert layer(numbers(6, 11, 3))[0].dtype == torch.float64


# ----------------------------------------------------------------------------------------- errors

WRONG = {
    "features": lambda kind: numbers(6, 11, 4),
    "one dimension": lambda kind: numbers(3),
    "dtype": lambda kind: numbers(6, 11, 3).float(),
    "no steps": lambda kind: numbers(0, 11, 3),
    "device": lambda kind: numbers(6, 11, 3).to("meta"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_input_is_refused_as_by_torch(kind, wrong):
    errors = []
    for layer in pair(kind, 3, 5):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            layer(WRONG[wrong](kind))
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 11, 5), (1, 10, 5), (1, 11, 4), (11, 5)])
def test_wrong_states_are_refused_as_by_torch(kind, shape):
    errors = []
    for layer in pair(kind, 3, 5):
        state = numbers(*shape)
        with pytest.raises(RuntimeError) as caught:
            layer(numbers(6, 11, 3), (state, state) if kind == "LSTM" else state)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


@pytest.mark.parametrize(
    "options",
    [
        {"input_size": 0},
        {"hidden_size": 0},
        {"num_layers": 0},
        {"dropout": 1.5},
        {"bias": 1},
        {"batch_first": None},
    ],
)
def test_wrong_arguments_are_refused_as_by_torch(options):
    arguments = {"input_size": 3, "hidden_size": 5, **options}
    with pytest.raises((TypeError, ValueError)) as theirs:
        torch.nn.GRU(**arguments)
    with pytest.raises(theirs.type) as ours:
        rnn_fast.torch.GRU(**arguments)
    assert str(ours.value) == str(theirs.value)


def test_unsupported_layers_are_named():
    with pytest.raises(ValueError, match="^proj_size=2: projections are not supported"):
        rnn_fast.torch.LSTM(3, 5, proj_size=2)
    x = numbers(6, 11, 3)
    with pytest.raises(TypeError, match="^parameters must be float32 or float64.*bfloat16"):
        lstm().bfloat16()(x.bfloat16())
    with pytest.raises(ValueError, match="^parameters must be on the CPU.*got device meta"):
        rnn_fast.torch.LSTM(3, 5, device="meta")(x)


def test_a_weight_of_another_shape_is_refused():
    layer = lstm()
    layer.weight_ih_l0 = torch.nn.Parameter(numbers(20, 1))
    with pytest.raises(RuntimeError, match="a layer of 3 inputs and 5 units"):
        layer(numbers(6, 11, 3))


def test_an_empty_batch():
    theirs, ours = pair("GRU", 3, 5)
    same(theirs(numbers(6, 0, 3)), ours(numbers(6, 0, 3)))


# --------------------------------------------------------------------------------------- autograd


def test_graphs_free_what_they_hold():
    gc.collect()
    before, layer, x = len(HELD), lstm(), numbers(6, 11, 3)
    loss = layer(x)[0].sum()
    assert len(HELD) == before + 1
    loss.backward()
    assert len(HELD) == before
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()
    outputs = layer(x)
    assert len(HELD) == before + 1
    del outputs
    assert len(HELD) == before
    with torch.no_grad():
        no_grad = layer(x)
    with torch.inference_mode():
        inference = layer(x)
    assert len(HELD) == before
    assert not no_grad[0].requires_grad and inference[0].is_inference()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_again_and_again(kind):
    _, layer = pair(kind, 3, 5, num_layers=2)
    output, _ = layer(numbers(6, 11, 3).requires_grad_())
    gradients = []
    for _ in range(3):
        layer.zero_grad()
        output.sin().sum().backward(retain_graph=True)
        gradients.append([p.grad.clone() for p in layer.parameters()])
    for again in gradients[1:]:
        same(gradients[0], again, 0.0)


def test_gradients_of_one_output_alone():
    theirs, ours = pair("LSTM", 3, 5, num_layers=2, bidirectional=True)
    inputs = batch(theirs, state=True)
    wanted = [state.requires_grad_() for state in inputs.states]
    for which in (lambda o, f: o[0], lambda o, f: f[0], lambda o, f: f[1]):
        results = []
        for layer in (theirs, ours):
            loss = which(*called(layer, inputs)).sin().sum()
            results.append(torch.autograd.grad(loss, [*wanted, *layer.parameters()]))
        same(*results)


def test_frozen_parts():
    theirs, ours = pair("GRU", 3, 5, num_layers=2)
    x = numbers(6, 11, 3)
    for layer in (theirs, ours):
        layer.weight_hh_l0.requires_grad_(False)
        layer(x)[0].sin().sum().backward()
        assert layer.weight_hh_l0.grad is None
    same([p.grad for p in theirs.parameters()], [p.grad for p in ours.parameters()])


def test_noncontiguous_tensors():
    theirs, ours = pair("LSTM", 3, 5)
    results = []
    for layer in (theirs, ours):
        x = numbers(3, 6, 11).fill_(0.3).permute(1, 2, 0).requires_grad_()
        h = torch.arange(55.0, dtype=torch.float64).reshape(1, 5, 11).transpose(1, 2) / 50
        output, (_, c) = layer(x, (h, h))
        results.append([output, c, *torch.autograd.grad(output[:, ::2].sum() + c.sum(), [x])])
        assert output.is_contiguous() and c.is_contiguous()
    same(*results)


def test_outputs_may_be_changed_in_place():
    theirs, ours = pair("GRU", 3, 5, batch_first=True)
    x, results = numbers(11, 6, 3), []
    for layer in (theirs, ours):
        output, final = layer(x)
        loss = (output.clone() if layer is theirs else output).mul_(2).sin().sum() + final.sum()
        results.append(torch.autograd.grad(loss, [*layer.parameters()]))
    same(*results)


def test_a_weight_changed_before_the_backward_pass():
    layer = lstm()
    loss = layer(numbers(6, 11, 3))[0].sum()
    with torch.no_grad():
        layer.weight_hh_l0.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_gradients_of_gradients_are_refused():
    x = numbers(6, 11, 3).requires_grad_()
    with pytest.raises(RuntimeError, match="no gradients of gradients"):
        torch.autograd.grad(lstm()(x)[0].sum(), x, create_graph=True)


def test_transforms_of_functions_are_refused():
    with pytest.raises(RuntimeError, match="functorch"):
        torch.func.grad(lambda x: lstm()(x)[0].sum())(numbers(6, 11, 3))


def test_lost_handles():
    layer, x = lstm(num_layers=2, dropout=0.5), numbers(6, 11, 3).requires_grad_()

    def gradient(compute):
        torch.manual_seed(0)
        (found,) = torch.autograd.grad(compute(x).sin().sum(), x)
        return found

    expected = gradient(lambda x: layer(x)[0])
    checkpoint = torch.utils.checkpoint.checkpoint
    same(
        [gradient(lambda x: checkpoint(lambda y: layer(y)[0], x, use_reentrant=False))], [expected]
    )
    with torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda t: t):
        same([gradient(lambda x: layer(x)[0])], [expected])


def test_weights_from_elsewhere():
    theirs, ours = pair("LSTM", 3, 5)
    x, weights = numbers(6, 11, 3), {n: 2 * p.detach() for n, p in ours.named_parameters()}
    for weight in weights.values():
        weight.requires_grad_()
    results = []
    for layer in (theirs, ours):
        output, _ = torch.func.functional_call(layer, weights, (x,))
        results.append([output, *torch.autograd.grad(output.sum(), [*weights.values()])])
    same(*results)
    for layer in (theirs, ours):
        torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    same(computed(theirs, batch(theirs)._replace(x=x)), computed(ours, batch(ours)._replace(x=x)))


# -------------------------------------------------------------------------------- dropout, autocast


def test_dropout():
    layer, x = lstm(num_layers=2, dropout=0.5), numbers(6, 200, 3)
    torch.manual_seed(1)
    first = layer(x)[0]
    second = layer(x)[0]
    torch.manual_seed(1)
    assert torch.equal(layer(x)[0], first)
    assert not torch.equal(first, second)
    with torch.no_grad():
        torch.manual_seed(1)
        assert torch.equal(layer(x)[0], first)
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    layer.train()
    layer.dropout = 0.0
    assert torch.equal(layer(x)[0], layer.eval()(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_of_everything(kind):
    check(pair(kind, 3, 5, num_layers=2, dropout=1.0))


def test_autocast_computes_in_the_dtype_of_the_weights():
    layer, x = lstm(), numbers(6, 11, 3).bfloat16()
    with torch.autocast("cpu"):
        output, (h, _) = layer(x)
    expected, _ = layer(x.double())
    assert torch.equal(output, expected)
    assert h.dtype == torch.float64


# ------------------------------------------------------------------------------ threads, processes


def test_one_layer_in_several_threads():
    layer, batches = lstm(), [numbers(6, 11, 3) for _ in range(4)]
    expected, found = [layer(x)[0] for x in batches], {}

    def work(k):
        with torch.no_grad():
            for _ in range(20):
                found[k] = layer(batches[k])[0]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[k], expected[k]) for k in range(4))


def test_the_same_bits_on_any_number_of_threads():
    layer, x, results = lstm(num_layers=2), numbers(6, 200, 3), []
    before = torch.get_num_threads()
    for n in (1, 2):
        torch.set_num_threads(n)
        with tuned(worth_seconds=0.0):
            results.append(
                [layer(x)[0], *torch.autograd.grad(layer(x)[0].sum(), layer.parameters())]
            )
    torch.set_num_threads(before)
    same(*results, 0.0)


class Encoded(torch.utils.data.Dataset):
    """Sequences that a layer encodes as they are loaded."""

    def __init__(self, layer, x):
        self.layer, self.x = layer, x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, k):
        with torch.no_grad():
            return self.layer(self.x[k])[0]


def test_workers_of_a_data_loader():
    layer, x = lstm(), numbers(4, 6, 11, 3)
    layer(x[0])[0].sum().backward()
    loader = torch.utils.data.DataLoader(
        Encoded(layer, x), num_workers=1, multiprocessing_context="fork"
    )
    same([y[0] for y in loader], [layer(each)[0].detach() for each in x], 0.0)
