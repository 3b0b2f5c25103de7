"""Parameters for Flax's modules and from them: the modules compute the same, both ways."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, LeakyRNN, SimpleRNN, from_flax

I, H, N, T = 3, 4, 5, 6
TOLERANCE = {"f4": 1e-6, "f8": 1e-12}
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def flax():
    """Flax, imported by a test and not at collection."""
    return pytest.importorskip("flax")


@contextlib.contextmanager
def precise(dtype):
    """Have float64, which JAX computes on request."""
    import jax

    with jax.enable_x64(dtype == "f8"):
        yield


def drawn(model, bhn=1.0):
    """Give a model random parameters, biases too."""
    for name, view in model.parameters.items():
        view[...] = RNG.standard_normal(view.shape) / 2 * (bhn if "bhn" in name else 1)
    return model


def sequences(model):
    if model.embedding_size:
        return RNG.integers(0, model.input_size, (N, T))
    return RNG.standard_normal((N, T, I)).astype(model.dtype)


def layers(model):
    """Layers and the ending and the run of each direction."""
    D = 1 + model.bidirectional
    for k in range(model.num_layers):
        yield k, [(f"layer_{k}{end}", k * D + d) for d, end in enumerate(("", "_reverse")[:D])]


def carry(states, run, n):
    """Initial carry of a run: h, or Flax's (c, h)."""
    parts = tuple(np.broadcast_to(state[run], (n, H)) for state in reversed(states))
    return parts if len(parts) > 1 else parts[0] if parts else None


def of_linen(model, cell, **options):
    """What a linen module of a model's parameters computes."""
    import jax.numpy as jnp
    from flax import linen as nn

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            inputs, runs = x, model.num_layers * (1 + model.bidirectional)
            names = [name for name in ("h0", "c0") if name in model.parameters]
            states = [self.param(name, nn.initializers.zeros, (runs, H)) for name in names]
            if model.embedding_size:
                x = nn.Embed(model.input_size, model.embedding_size, name="embedding")(x)
            for _, directions in layers(model):
                found = [
                    nn.RNN(
                        getattr(nn, cell)(H, name=name, **options),
                        reverse="reverse" in name,
                        keep_order=True,
                    )(x, initial_carry=carry(states, run, len(x)))
                    for name, run in directions
                ]
                x = jnp.concatenate(found, -1)
            if not model.return_sequences:
                x = jnp.concatenate([found[0][:, -1], *(y[:, 0] for y in found[1:])], -1)
            y = nn.Dense(model._net.output_size, name="head")(x)
            return y + inputs[..., : model._net.output_size] if model.skip else y

    return lambda tree, x: Network().apply({"params": tree}, x)


def of_nnx(model, cell, **options):
    """What an nnx module of a model's parameters computes."""
    import jax.numpy as jnp
    from flax import nnx

    class Network(nnx.Module):
        def __init__(self, rngs):
            width = model.embedding_size or I
            kind = {"dtype": model.dtype, "param_dtype": model.dtype}
            if model.embedding_size:
                self.embedding = nnx.Embed(model.input_size, width, rngs=rngs, **kind)
            for _, directions in layers(model):
                for name, _ in directions:
                    setattr(self, name, getattr(nnx, cell)(width, H, rngs=rngs, **options))
                width = H * len(directions)
            self.head = nnx.Linear(width, model._net.output_size, rngs=rngs, **kind)

        def __call__(self, x):
            x = self.embedding(x) if model.embedding_size else x
            for _, directions in layers(model):
                found = [
                    nnx.RNN(getattr(self, name), reverse="reverse" in name, keep_order=True)(x)
                    for name, _ in directions
                ]
                x = jnp.concatenate(found, -1)
            if not model.return_sequences:
                x = jnp.concatenate([found[0][:, -1], *(y[:, 0] for y in found[1:])], -1)
            return self.head(x)

    def run(tree, x):
        network = Network(nnx.Rngs(0))
        state = nnx.state(network, nnx.Param)
        nnx.replace_by_pure_dict(state, tree)
        nnx.update(network, state)
        same(from_flax(nnx.state(network, nnx.Param), **said(model)), model)
        return network(x)

    return run


def said(model):
    """The options that parameters do not say."""
    options = {"nonlinearity": model.nonlinearity} if isinstance(model, SimpleRNN) else {}
    return options | {
        "return_sequences": model.return_sequences,
        "skip": model.skip,
        "loss": model.loss,
    }


def same(model, other):
    assert model.description() == other.description()
    for name, view in other.parameters.items():
        np.testing.assert_array_equal(getattr(model, name), view)


def check(model, cell, module=of_linen, api="linen"):
    """Compare a model with a module of its parameters, and with what comes back."""
    options = {"dtype": model.dtype, "param_dtype": model.dtype}
    if isinstance(model, SimpleRNN):
        from flax import linen as nn

        options["activation_fn"] = getattr(nn, model.nonlinearity)
    x, tree = sequences(model), model.to_flax(api)
    ours = model.decision_function(x)
    theirs = module(model, cell, **options)(tree, x)
    atol = TOLERANCE[model.dtype.str[1:]] * max(1, np.abs(ours).max())
    np.testing.assert_allclose(np.reshape(theirs, ours.shape), ours, rtol=0, atol=atol)
    same(from_flax(tree, **said(model)), model)


QUICK = {
    "rnn": ("SimpleCell", lambda **o: SimpleRNN(I, H, 2, nonlinearity="relu", **o)),
    "gru": ("GRUCell", lambda **o: GRU(I, H, 2, return_sequences=True, skip=True, **o)),
    "both": ("LSTMCell", lambda **o: LSTM(I, H, num_layers=2, bidirectional=True, **o)),
    "lstm": (
        "OptimizedLSTMCell",
        lambda **o: LSTM(7, H, 2, embedding_size=3, learn_initial_state=True, **o),
    ),
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", QUICK)
def test_linen(flax, name, dtype):
    cell, make = QUICK[name]
    with precise(dtype):
        check(drawn(make(dtype=dtype)), cell)


@pytest.mark.parametrize(
    ("cell", "make"),
    [
        ("SimpleCell", lambda **o: SimpleRNN(I, H, 2, **o)),
        ("GRUCell", lambda **o: GRU(7, H, 2, embedding_size=3, return_sequences=True, **o)),
        ("OptimizedLSTMCell", lambda **o: LSTM(I, H, 2, num_layers=2, bidirectional=True, **o)),
    ],
)
def test_nnx(flax, cell, make):
    check(drawn(make(), bhn=0.0), cell, of_nnx, "nnx")


def test_nnx_has_one_bias_less():
    model = drawn(GRU(I, H))
    with pytest.raises(ValueError, match="^nnx.GRUCell has no bias in place of bhn, which is not"):
        model.to_flax("nnx")
    model.bhn = np.zeros(H)
    same(from_flax(model.to_flax("nnx")), model)


EVERY = {
    "rnn": (SimpleRNN, {}, "SimpleCell"),
    "relu": (SimpleRNN, {"nonlinearity": "relu"}, "SimpleCell"),
    "gru": (GRU, {}, "GRUCell"),
    "lstm": (LSTM, {}, "LSTMCell"),
    "optimized": (LSTM, {}, "OptimizedLSTMCell"),
}


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", EVERY)
def test_every_option(flax, name, dtype):
    kind, options, cell = EVERY[name]
    flags = [*itertools.product((1, 3), *[(False, True)] * 4)]
    chosen = np.random.default_rng([*EVERY].index(name)).permutation(len(flags))[:8]
    with precise(dtype):
        for layers, both, every, learns, embedded in (flags[place] for place in chosen):
            made = kind(
                I,
                H,
                2,
                num_layers=layers,
                bidirectional=both,
                return_sequences=every,
                learn_initial_state=learns,
                embedding_size=2 if embedded else None,
                skip=every and not embedded,
                dtype=dtype,
                **options,
            )
            check(drawn(made), cell)
            if not learns and not made.skip and cell != "LSTMCell":
                check(drawn(made, bhn=0.0), cell, of_nnx, "nnx")


# -------------------------------------------------------------------------- trees as people have


def test_names_of_any_kind(flax):
    """Cells as Flax names them, more than ten, and both directions of Bidirectional."""
    model = drawn(GRU(I, H, num_layers=11))
    tree = model.to_flax()
    named = {f"GRUCell_{k}": tree[f"layer_{k}"] for k in reversed(range(11))}
    same(from_flax({"params": {**named, "Dense_0": tree["head"]}}), model)
    model = drawn(LSTM(I, H, num_layers=2, bidirectional=True))
    tree = model.to_flax()
    tree = {
        f"Bidirectional_{k}": {
            f"{way}_rnn": {"cell": tree[f"layer_{k}{end}"]}
            for way, end in (("backward", "_reverse"), ("forward", ""))
        }
        for k in range(2)
    } | {"Dense_0": tree["head"]}
    same(from_flax(tree), model)


def test_directions_that_names_do_not_say():
    model = drawn(LSTM(I, H, num_layers=2, bidirectional=True))
    tree = model.to_flax()
    cells = [tree[f"layer_{k}{end}"] for k in range(2) for end in ("", "_reverse")]
    named = {f"LSTMCell_{k}": cell for k, cell in enumerate(cells)} | {"Dense_0": tree["head"]}
    same(from_flax(named, bidirectional=True), model)
    with pytest.raises(ValueError, match="^LSTMCell_1 does not fit: .* takes the 4 outputs of the"):
        from_flax(named)


def test_a_module_that_people_write(flax):
    """Parameters that linen makes, with names that linen gives."""
    import jax
    from flax import linen as nn

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.RNN(nn.LSTMCell(H))(nn.Embed(7, I)(x))
            return nn.Dense(2)(nn.RNN(nn.LSTMCell(H))(x))

    x = RNG.integers(0, 7, (N, T))
    variables = Network().init(jax.random.key(0), x)
    model = from_flax(variables, return_sequences=True)
    theirs = Network().apply(variables, x)
    np.testing.assert_allclose(theirs, model.decision_function(x), rtol=0, atol=1e-6)


def test_parameters_are_copies():
    model = LSTM(I, H)
    for part in model.to_flax()["layer_0"].values():
        assert not any(np.shares_memory(array, model._flat) for array in part.values())


def test_what_does_not_fit_is_refused():
    for model, message in (
        (LeakyRNN(I, H), "^Flax has no cell that computes as LeakyRNN$"),
        (GRU(I, H, reset_after=False), "^Flax has no GRUCell with reset_after=False$"),
        (LSTM(I, H, peepholes=True), "^Flax has no LSTMCell with peepholes=True$"),
    ):
        with pytest.raises(ValueError, match=message):
            model.to_flax()
    tree = LSTM(I, H).to_flax()
    with pytest.raises(ValueError, match="^api must be one of 'linen', 'nnx'; got 'haiku'"):
        LSTM(I, H).to_flax("haiku")
    with pytest.raises(TypeError, match="^params must be a tree of parameters.* got list$"):
        from_flax([tree])
    with pytest.raises(ValueError, match="^params have no SimpleCell, .* are head/kernel, head/b"):
        from_flax({"head": tree["head"]})
    with pytest.raises(ValueError, match="^params need one Dense layer beside the cells; got none"):
        from_flax({"layer_0": tree["layer_0"]})
    with pytest.raises(ValueError, match="^params have 'norm/scale', which is of no cell, Dense"):
        from_flax({**tree, "norm": {"scale": np.ones(H)}})
    with pytest.raises(ValueError, match="^both directions need a cell in each layer; got layer_0"):
        from_flax({**tree, "layer_1_reverse": tree["layer_0"]})
    with pytest.raises(ValueError, match="^both directions need a cell in each layer; got layer_0"):
        from_flax(tree, bidirectional=True)
    with pytest.raises(
        ValueError, match=r"^head must take the 4 outputs .* kernel is \(4, 2, 1\)$"
    ):
        from_flax({**tree, "head": {"kernel": np.ones((4, 2, 1))}})
    with pytest.raises(TypeError, match="^LSTM has no argument 'nonlinearity'"):
        from_flax(tree, nonlinearity="relu")
