"""Noise of inputs and pre-activations: the numbers, exact gradients, the same bits on threads."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from cases import DRIVERS, Case
from common import assert_same_bits, learned

from rnn_fast import GRU, LeakyRNN, SimpleRNN
from rnn_fast.data.rows import Sequences
from rnn_fast.engine.chance import Chance
from rnn_fast.jit import compiled
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")
SEED, RUN = 12345, 0x5851_F42D_4C95_7F2D
MASK = 2**64 - 1


def key(seed, place):
    """SplitMix64."""
    x = (seed + place * 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def folded(x):
    return x ^ (x >> 16)


def lowbias32(x):
    """But for its last `folded`."""
    x = folded(x) * np.uint32(0x7FEB352D)
    return (x ^ (x >> 15)) * np.uint32(0x846CA68B)


def uniforms(seed, N, n):
    """N samples' numbers in (-1, 1), (N, n), as the docstrings of the kernels say."""
    halves = np.array([divmod(key(seed, place), 2**32) for place in range(N)], np.uint32)
    upper, lower = halves[:, :1], halves[:, 1:]
    x = lowbias32(folded(lowbias32(np.arange(n, dtype=np.uint32))) + lower)
    bits = (folded(x) ^ upper) * np.uint32(0x9E3779B9)
    return ((bits.view(np.int32) >> 8) + 0.5) * 2.0**-23


def exact(x):
    """The normal number of each x in (-1, 1)."""
    numbers = [NormalDist().inv_cdf((1 + each) / 2) for each in x.ravel().tolist()]
    return np.array(numbers).reshape(x.shape)


def normals(seed, N, T, n):
    """The noise of N samples, (N, T, n)."""
    return exact(uniforms(seed, N, T * n)).reshape(N, T, n)


def furthest(x):
    """Kolmogorov and Smirnov's statistic of numbers that should be uniform in (-1, 1)."""
    n = x.size
    steps = np.arange(1, n + 1) / n
    gaps = steps - (1 + np.sort(x, axis=None)) / 2
    return np.sqrt(n) * max(gaps.max(), (1 / n - gaps).max())


@pytest.mark.parametrize("seed", [0, 1, 2**62 - 1])
def test_the_numbers_are_independent(seed):
    """Of samples, steps, units and seeds; each bound is passed by chance once in 10**6 times."""
    x = uniforms(seed, 500, 1000)
    assert furthest(x) < 2.7
    assert max(map(furthest, x)) < 3.2 and max(map(furthest, x.T)) < 3.2  # 1000 times each
    for numbers in (x, x**2 - 1 / 3, np.sign(x)):
        scaled = numbers / np.sqrt((numbers**2).mean())
        beside = uniforms(seed + 1, 500, 1000) if numbers is x else scaled[::-1]
        products = [scaled * beside, *(scaled[:, k:] * scaled[:, :-k] for k in (1, 2, 8, 50, 64))]
        products += [scaled[k:] * scaled[:-k] for k in (1, 2, 16, 64)]
        corners = scaled[1:, 1:] * scaled[:-1, :-1]
        products.append(corners * scaled[1:, :-1] * scaled[:-1, 1:])
        for each in products:
            assert abs(each.mean()) * np.sqrt(each.size) < 5


def test_the_noise_is_normal():
    z = normals(1, 30, 40, 50).ravel()
    n = len(z)
    assert abs(z.mean()) < 4 / np.sqrt(n) and abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 4 * np.sqrt(15 / n) and abs((z**4).mean() - 3) < 4 * np.sqrt(96 / n)
    noise = normals(1, 200, 1, 100)[:, 0]
    for pairs in (np.corrcoef(noise), np.corrcoef(noise.T)):  # of samples, of counters
        assert np.abs(pairs - np.eye(len(pairs))).max() < 6 / np.sqrt(100)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_error_of_a_normal_number(dtype):
    pytest.importorskip("numba")
    from rnn_fast.kernels.noise import normal
    from rnn_fast.simd import load, store, width

    def program(x, z, n):
        for i in range(0, n, width(x)):
            store(z + i, normal(load(x + i)))

    places = np.unique(np.concatenate([2**23 - np.arange(1, 2000), np.arange(0, 2**23, 997)]))
    places = np.resize(places, -(-len(places) // 16) * 16)
    x = ((places + 0.5) * 2.0**-23).astype(dtype)
    x[::2] *= -1
    z = np.empty_like(x)
    compiled(program, dtype, x="reals", z="reals", n="int")(x.ctypes.data, z.ctypes.data, len(x))
    far = np.abs(z / exact(x) - 1)
    assert far.max() < 7e-6


def update(case, **options):
    """Parameters after one step of descent on the whole batch."""
    n = len(case)
    case.train(np.arange(n), n, 1.0, 0.0, seed=SEED, **options)
    return case.flat


@pytest.mark.parametrize("driver", DRIVERS)
def test_noise_of_the_inputs(driver):
    """A training with noise is one on noisy inputs, in both directions and all layers."""
    with tuned(**DRIVERS[driver]):
        noisy, plain = (Case(5, plain=True, batch=6, T=7, layers=2, directions=2) for _ in range(2))
        noise = normals(SEED - RUN & MASK, 6, 7, noisy.net.input_size)
        plain.data = Sequences(
            plain.data.x + 0.3 * noise.reshape(plain.data.x.shape), *plain.data[1:]
        )
        got, wanted = update(noisy, chance=Chance(input_noise=0.3)), update(plain)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("cell", ["tanh", "rate_fixed_relu"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_noise_of_the_pre_activations(driver, cell):
    """A training with noise is one with noise as further inputs, one for each unit."""
    with tuned(**DRIVERS[driver]):
        noisy = Case(5, cell, plain=True, batch=6, T=7)
        I, H = noisy.net.input_size, noisy.net.hidden_size
        plain = Case(5, cell, plain=True, batch=6, T=7)
        plain.net = plain.net._replace(input_size=I + H)
        noise = normals(SEED + RUN & MASK, 6, 7, H).reshape(-1, H)
        plain.data = Sequences(np.concatenate([plain.data.x, noise], axis=1), *plain.data[1:])
        W = noisy.flat[: H * (I + 1 + H)].reshape(H, I + 1 + H)
        wide = np.concatenate([W[:, :I], 0.3 * np.eye(H), W[:, I:]], axis=1)
        plain.flat = np.concatenate([wide.ravel(), noisy.flat[W.size :]])
        got, wanted = update(noisy, chance=Chance(recurrent_noise=0.3)), update(plain)
    wide = wanted[: H * (I + H + 1 + H)].reshape(H, I + H + 1 + H)
    same = np.concatenate([wide[:, :I], wide[:, I + H :]], axis=1)
    wanted = np.concatenate([same.ravel(), wanted[wide.size :]])
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_the_same_bits_on_threads():
    X = np.random.default_rng(0).standard_normal((300, 6, 3))
    y = X[:, :, 0].sum(axis=1) > 0
    options = {"input_noise": 0.1, "recurrent_noise": 0.2, "num_layers": 2, "dropout": 0.2}
    one, two, quiet, other = (
        learned(
            LeakyRNN(3, 8, seed=seed, **{**options, **changes}),
            X,
            y,
            epochs=2,
            batch_size=150,
            n_threads=n_threads,
        )
        for seed, n_threads, changes in (
            (0, 1, {}),
            (0, 2, {}),
            (0, 1, {"recurrent_noise": 0.0}),
            (1, 1, {}),
        )
    )
    assert_same_bits(one, two)
    assert not np.array_equal(one[0], quiet[0]) and not np.array_equal(one[0], other[0])


def test_one_sample_at_a_time_has_noise_too():
    """The driver for one sample has none: another one takes its place."""
    X, y = np.random.default_rng(0).standard_normal((20, 6, 3)), np.arange(20) % 2
    flats = [
        learned(SimpleRNN(3, 8, seed=0, recurrent_noise=std), X, y, epochs=1, batch_size=1)[0]
        for std in (0.0, 0.5)
    ]
    assert not np.allclose(*flats)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"input_noise": -1}, ValueError, "input_noise must be finite and not negative"),
        ({"recurrent_noise": "a"}, TypeError, "recurrent_noise must be a real number"),
        ({"recurrent_noise": 0.1}, ValueError, "recurrent_noise is for cells with one pre-acti"),
    ],
    ids=str,
)
def test_bad_noise(options, error, message):
    with pytest.raises(error, match=f"^{message}"):
        GRU(2, 3, **options)
