"""Both drivers, whole: loss, gradients and updates against the oracle and PyTorch.

`cases` has the networks and their guarded memory.
"""

import guarded
import numpy as np
import pytest
import reference
from cases import DRIVERS, LANES, Case, assert_as_oracle, assert_close
from common import assert_same_bits
from reference import LEAKY

from rnn_fast.cells.specs import CELLS
from rnn_fast.data.rows import Sequences, Targets, padded
from rnn_fast.engine import operations
from rnn_fast.engine.chance import NOTHING, Chance
from rnn_fast.engine.online_step import OnlineStep
from rnn_fast.engine.passes import Passes, Pool, numbers_kept
from rnn_fast.engine.unit_step import UnitStep
from rnn_fast.jit import vector_registers
from rnn_fast.layout.parameters import parameter_views
from rnn_fast.tuning import Tuning, tuned

pytestmark = pytest.mark.usefixtures("one_tile")


@pytest.fixture(params=DRIVERS)
def each_driver(request):
    with tuned(**DRIVERS[request.param]):
        yield


#: the leaky units have tests of their own, `cells/test_leaky.py`
EVERY_CELL = pytest.mark.parametrize("cell", [name for name in CELLS if name not in LEAKY])
EACH_DRIVER = pytest.mark.parametrize("driver", DRIVERS)
THREE_CELLS = pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])


def each_in_one(cells):
    """Pairs of a cell and a dtype, of which each cell's first is not left to the sweep."""
    dtypes = ("float32", "float64")
    return [
        pytest.param(cell, dtypes[(i + k) % 2], marks=[pytest.mark.sweep] * k)
        for i, cell in enumerate(cells)
        for k in range(2)
    ]


@EACH_DRIVER
@EVERY_CELL
def test_gradients_equal_the_oracle_on_300_configurations(cell, driver):
    with tuned(**DRIVERS[driver]):
        for seed in range(50):
            assert_as_oracle(Case(seed, cell), 1e-12)


@EACH_DRIVER
@EVERY_CELL
@pytest.mark.parametrize("kept", [True, False])
def test_stages_pull_any_gradient_back(cell, driver, kept):
    """Of random numbers in place of a loss's gradient, as the oracle's inner product with them."""
    with tuned(**DRIVERS[driver], **({} if kept else {"pass_bytes": 0})):
        for seed in range(25):
            assert_stages_as_oracle(Case(seed, cell), 1e-12)


def assert_stages_as_oracle(case, tolerance):
    net, rng = case.net._replace(loss="linear"), np.random.default_rng(1)
    inputs = not net.embedding
    pool = Pool(guarded.GuardedMemory())
    passes = Passes(
        case.net, case.flat, case.data, state=case.state, input_gradients=inputs, pool=pool
    )
    outputs = passes.forward()
    cotangents = guarded.copy(rng.standard_normal(outputs.shape))
    case.net, case.targets = net, Targets(cotangents, None)
    wanted, n = case.expected(), len(outputs)  # the mean over n
    flat, dx = guarded.array(case.flat.size, net.dtype), np.zeros_like(case.data.x)
    dstate = None if case.state is None else np.zeros_like(case.state)
    for _ in range(2):
        passes.backward(cotangents, flat, dstate=dstate, dx=dx if inputs else None)
    case.check(flat / n, wanted.gradients, tolerance)
    wanted_outputs = np.concatenate([np.atleast_2d(each) for each in wanted.outputs])
    scale = np.abs(wanted_outputs).max()
    assert_close("outputs", outputs, wanted_outputs, scale, tolerance, net)
    if dstate is not None:
        scale = np.abs(wanted.dstate).max()
        assert_close("state", dstate / n, wanted.dstate, scale, tolerance, net)
    if inputs:
        wanted_dx = np.concatenate(wanted.dx)
        assert_close("x", dx / n, wanted_dx, np.abs(wanted_dx).max(), tolerance, net)


@THREE_CELLS
def test_states_kept_outside(cell):
    """Other passes go backward from what one has kept, which stays as it is."""
    with tuned(**DRIVERS["batch"]):
        for seed in range(10):
            case, pool = Case(seed, cell), Pool(guarded.GuardedMemory())
            n, T = len(case.data.starts), int(case.data.lengths.max())
            size = numbers_kept(case.net, T, n, NOTHING, False, pool)
            memory = pool.memory.vector(size, case.net.dtype)
            memory[:] = np.nan

            def passes(kept=None, case=case, pool=pool):
                given = case.net, case.flat, case.data
                return Passes(*given, state=case.state, kept=kept, pool=pool)

            alone, first, second = passes(), passes(memory), passes(memory)
            outputs = alone.forward()
            assert_same_bits(outputs, first.forward())
            before, gradients = memory.copy(), np.zeros((2, case.flat.size), case.net.dtype)
            alone.backward(outputs, gradients[0])
            second.backward(outputs, gradients[1])
            assert_same_bits(*gradients)
            assert_same_bits(before, memory)


@pytest.mark.parametrize(("batch", "dtype"), [(2, "float64"), (7, "float32")])
def test_every_tile_of_the_units_driver(batch, dtype):
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    with tuned(**DRIVERS["units"], unit_vecs=Tuning().unit_vecs):
        for seed in range(20):
            assert_as_oracle(Case(seed, "tanh", dtype, batch), tolerance)


@pytest.mark.parametrize("T", [1, 90, 300])
def test_chunks_of_the_backward_pass(T):
    """Layers as wide as whole registers, in both directions, over several chunks of steps."""
    with tuned(**DRIVERS["units"]):
        for batch in (1, 3):
            case = Case(1, "lstm", batch=batch, T=T, H=2 * LANES, layers=2, directions=2)
            assert_as_oracle(case, 1e-11)


@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
def test_gradients_equal_pytorch_on_300_configurations(cell):
    pytest.importorskip("torch")
    import reference_torch

    for seed in range(1000, 1075):
        assert_as_oracle(Case(seed, cell), 1e-12, oracle=reference_torch.run)


@EVERY_CELL
def test_plain_gradients_equal_the_oracle_at_odd_sizes(cell):
    for seed in range(100, 120):
        assert_as_oracle(Case(seed, cell, plain=True), 1e-12)


QUICK = (1, 4, 7)  #: tiles that are not left to the sweep
TILES = [
    i if i in QUICK else pytest.param(i, marks=pytest.mark.sweep)
    for i in range(len(Tuning().tiles[vector_registers()]))
]


@pytest.mark.parametrize("i", TILES)
def test_every_tile(i):
    """In one dtype each, since a tile costs a compilation; every dtype has tiles of all kinds."""
    dtype, tile = ("float32", "float64")[i % 2], Tuning().tiles[vector_registers()][i]
    with tuned(tiles={vector_registers(): (tile,)}):
        for seed in range(20):
            tolerance = 1e-12 if dtype == "float64" else 1e-4
            assert_as_oracle(Case(seed, "tanh", dtype, plain=seed % 2 == 1), tolerance)


@pytest.mark.parametrize(
    ("cell", "driver"), [("tanh", "batch"), ("gru", "batch"), ("lstm", "batch"), ("lstm", "units")]
)
def test_float32_agrees_with_the_oracle(cell, driver):
    with tuned(**DRIVERS[driver]):
        for seed in range(200, 215):
            assert_as_oracle(Case(seed, cell, dtype="float32"), 1e-4)


@pytest.mark.parametrize(("cell", "dtype"), each_in_one(["tanh", "gru", "lstm"]))
def test_logits_and_final_states_equal_the_oracle(cell, dtype):
    for seed in range(300, 310):
        case = Case(seed, cell, dtype)
        net, wanted = case.net, case.expected()
        final = guarded.copy(np.zeros((len(case), net.states, net.runs, net.hidden_size), dtype))
        logits = case.logits(final=final)
        wanted_logits = np.concatenate([np.atleast_2d(out) for out in wanted.outputs])
        tolerance = 1e-13 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(logits, wanted_logits, rtol=0, atol=tolerance * 10)
        np.testing.assert_allclose(final, wanted.final, rtol=0, atol=tolerance * 10)


@pytest.mark.parametrize(("nonlinearity", "dtype"), each_in_one(["tanh", "relu"]))
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_an_update_with_units_in_lanes(nonlinearity, dtype, batch):
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    for seed in range(15):
        case = Case(seed, nonlinearity, dtype, batch, plain=True)
        before, wanted = case.flat.copy(), case.expected()
        epoch, velocity = case.train(np.arange(batch), batch, 1.0, 0.5)
        assert epoch.loss == pytest.approx(wanted.loss, rel=tolerance)
        assert epoch.correct == pytest.approx(wanted.accuracy, rel=tolerance)
        case.check(velocity, wanted.gradients, tolerance)
        np.testing.assert_allclose(case.flat, before - velocity, rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("each_driver")
@pytest.mark.parametrize("batch_size", [1, 2, 5, 16, 50])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("plain", [True, False])
def test_an_epoch_is_descent_batch_by_batch(batch_size, momentum, plain):
    """Order, a short last batch, momentum, an embedding: against the oracle's epoch."""
    options = {} if plain else {"embedding": 3, "learned_state": True}
    case = Case(3, "tanh" if plain else "lstm", batch=37, plain=plain, **options)
    order = guarded.copy(np.random.default_rng(0).permutation(37))
    wanted = case.flat.copy()
    state = {k: np.zeros(v.shape) for k, v in case.named(wanted).items()}
    total, weights = 0.0, 0.0
    for first in range(0, 37, batch_size):
        batch = order[first : first + batch_size]
        w = case.targets.weights
        w = np.ones(len(case.targets.y)) if w is None else w
        w = np.array([part.sum() for part in case.split(w)]) if case.net.sequences else w
        if w[batch].sum() == 0:
            continue
        found = case.expected(wanted, batch)
        reference.sgd(parameter_views(wanted, case.net), found.gradients, state, 0.05, momentum)
        weight = w[batch].sum() if case.targets.weights is not None else len(batch)
        if case.targets.weights is None and case.net.sequences:
            weight = case.data.lengths[batch].sum()
        total, weights = total + found.loss * weight, weights + weight
    epoch, _ = case.train(order, batch_size, 0.05, momentum)
    assert epoch.finite
    assert epoch.loss == pytest.approx(total / weights, rel=1e-12)
    np.testing.assert_allclose(case.flat, wanted, rtol=1e-11, atol=1e-13)


@pytest.mark.usefixtures("each_driver")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("k", [1, 3, 4, 100])
def test_truncated_backpropagation_carries_states_and_cuts_gradients(k, sequences, momentum):
    """Windows of k steps, each with an update: against the oracle, window by window."""
    for seed in (5, 6, 8):
        case = Case(seed, "lstm", batch=11, directions=1, sequences=sequences, embedding=0)
        net, wanted, N = case.net, case.flat.copy(), len(case)
        views = parameter_views(wanted, net)
        velocity = {name: np.zeros(v.shape) for name, v in views.items()}
        y, w, _ = case.targets
        y = y[:, 0].astype(int) if net.loss == "cross_entropy" else y
        w = np.ones(len(y)) if w is None else w
        y, w = (case.split(v) if sequences else v for v in (y, w))
        state = case.state
        if net.learned_state:
            state = None
        x = case.split(case.data.x)
        for first in range(0, int(case.data.lengths.max()), k):
            alive = [i for i in range(N) if case.data.lengths[i] > first]
            part = slice(first, first + k)
            ends = [case.data.lengths[i] <= first + k for i in alive]
            window_y = [y[i][part] if sequences else y[i] for i in alive]
            window_w = [w[i][part] if sequences else w[i] * end for i, end in zip(alive, ends)]  # noqa: B905
            own = None if state is None else state[alive]
            params_now = {name: view.copy() for name, view in views.items()}
            if first:  # the learned state is that of the first window only
                cut = net._replace(learned_state=False)
            else:
                cut = net
            heavy = sum(np.sum(v) for v in window_w) > 0
            targets = (window_y, window_w) if heavy else (None, None)
            found = reference.run(cut, params_now, [x[i][part] for i in alive], *targets, own)
            if state is None:
                state = np.zeros((N, net.states, net.runs, net.hidden_size))
            state = state.copy()
            state[alive] = found.final
            if heavy:
                zero = {n: np.zeros(v.shape) for n, v in views.items() if n not in found.gradients}
                gradients = {n: (found.gradients | zero)[n] for n in views}
                reference.sgd(views, gradients, velocity, 0.1, momentum)
        case.train(np.arange(N), N, 0.1, momentum, bptt=k)
        np.testing.assert_allclose(case.flat, wanted, rtol=1e-10, atol=1e-12)


@THREE_CELLS
def test_batches_of_windows_start_from_zero(cell):
    """A batch's first window knows nothing of the last one's states."""
    several = 0
    for seed in range(8):
        options = dict(batch=6, directions=1, learned_state=False, embedding=0)
        one, two = (Case(seed, cell, **options) for _ in range(2))
        one.state = two.state = None
        several += one.data.lengths[:3].max() > 1
        one.train(np.arange(6), 3, 0.1, 0.0, bptt=1)
        for part in (np.arange(3), np.arange(3, 6)):
            two.train(part, 3, 0.1, 0.0, bptt=1)
        np.testing.assert_array_equal(one.flat, two.flat)
    assert several > 3


@pytest.mark.usefixtures("each_driver")
def test_dropout_is_that_of_its_seed_and_between_layers_only():
    """Against the oracle, given the masks of the same generator of numbers."""
    case = Case(2, "gru", batch=19, layers=3, sequences=True, learned_state=False)
    net, p, seed = case.net, 0.4, 12345
    T, height = int(case.data.lengths.max()), net.directions * net.hidden_size
    order = operations.by_length(np.arange(19), case.data.lengths, 19)
    place = {int(sample): i for i, sample in enumerate(order)}
    masks = []
    for k, length in enumerate(case.data.lengths):
        masks.append([])
        for layer in range(net.layers - 1):
            counter = (place[k] * T + np.arange(length)[:, None]) * height + np.arange(height)
            kept = uniform(seed + layer * net.directions * LAYER, counter) >= p
            masks[-1].append(kept / (1 - p))
    before, wanted = case.flat.copy(), case.expected(masks=masks)
    epoch, velocity = case.train(np.arange(19), 19, 1.0, 0.5, chance=Chance(dropout=p), seed=seed)
    assert epoch.loss == pytest.approx(wanted.loss, rel=1e-12)
    case.check(velocity, wanted.gradients, 1e-12)
    np.testing.assert_allclose(case.flat, before - velocity, rtol=1e-12)


LAYER = 0x32D0_5E2F_9A37_1C6B


def uniform(seed, counter):
    """SplitMix64, as NumPy has it."""
    with np.errstate(over="ignore"):
        x = np.uint64(seed % 2**64) + counter.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


def test_dropped_shares_are_the_probability():
    numbers = uniform(7, np.arange(100_000))
    assert abs((numbers < 0.3).mean() - 0.3) < 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@THREE_CELLS
def test_a_sample_has_the_same_logits_alone_and_in_any_company(cell, dtype):
    case = Case(1, cell, dtype, batch=43, sequences=False, embedding=0)
    together = case.logits()
    for i in (0, 1, 15, 16, 42):
        only = slice(i, i + 1)
        data = case.data._replace(starts=case.data.starts[only], lengths=case.data.lengths[only])
        state = None if case.state is None else case.state[only].copy()
        alone = case.logits(data, state=state)
        np.testing.assert_array_equal(alone[0], together[i])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@THREE_CELLS
def test_chunks_with_the_state_carried_have_the_bits_of_the_whole(cell, dtype):
    fixed = dict(sequences=True, directions=1, embedding=0, learned_state=False)
    case = Case(4, cell, dtype, batch=9, **fixed)
    net = case.net
    x = np.random.default_rng(0).standard_normal((9, 12, net.input_size)).astype(dtype)
    shape = (9, net.states, net.runs, net.hidden_size)
    whole_state, state = np.zeros(shape, dtype), np.zeros(shape, dtype)
    whole = case.logits(padded(x), state=None, final=whole_state)
    parts = []
    for first, last in ((0, 1), (1, 6), (6, 12)):
        chunk, final = np.ascontiguousarray(x[:, first:last]), np.zeros(shape, dtype)
        out = case.logits(padded(chunk), state=state, final=final)
        parts.append(out.reshape(9, last - first, -1))
        state = final
    np.testing.assert_array_equal(np.concatenate(parts, axis=1).reshape(whole.shape), whole)
    np.testing.assert_array_equal(state, whole_state)


def test_what_stands_in_padding_is_not_looked_at():
    case = Case(7, "lstm", batch=20, embedding=0, sequences=True)
    net, T = case.net, int(case.data.lengths.max())
    found = []
    for rubbish in (0.0, np.nan, np.inf):
        x = np.full((20 * T, net.input_size), rubbish)
        y = np.full((20 * T, net.target_size), rubbish)
        starts = np.arange(20) * T
        for i, (a, b) in enumerate(zip(case.split(case.data.x), case.split(case.targets.y))):  # noqa: B905
            x[starts[i] : starts[i] + len(a)], y[starts[i] : starts[i] + len(b)] = a, b
        data = Sequences(x, starts, case.data.lengths)
        loss, gradients, *_ = case.gradients(data, Targets(y, None))
        found.append((loss, gradients, case.logits(data)))
    for results in found[1:]:
        assert_same_bits(found[0], results)


@pytest.mark.usefixtures("each_driver")
def test_nothing_to_weigh_gives_no_loss_and_no_step():
    case = Case(2, "gru", batch=5, sequences=True)
    case.targets = case.targets._replace(weights=np.zeros(len(case.targets.y)))
    loss, flat, *_ = case.gradients()
    before = case.flat.copy()
    epoch, _ = case.train(np.arange(5), 5, 1.0, 0.0)
    assert loss == epoch.loss == 0.0
    assert not flat.any()
    np.testing.assert_array_equal(case.flat, before)


@pytest.mark.usefixtures("each_driver")
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_a_loss_that_is_not_finite_ends_the_epoch(batch_size):
    case = Case(0, dtype="float32", batch=40, plain=True)
    case.data.x[20 * case.data.lengths[0]] = np.nan
    epoch, _ = case.train(np.arange(40), batch_size, 0.01, 0.0)
    assert not epoch.finite
    assert np.isfinite(case.flat).all()


@pytest.mark.parametrize(("cell", "batch_size"), [("tanh", 1), ("tanh", 16), ("lstm", 16)])
def test_equal_input_gives_equal_bits(cell, batch_size):
    results = []
    for _ in range(2):
        case = Case(2, cell, dtype="float32", batch=40, plain=cell == "tanh")
        case.train(np.arange(40), batch_size, 0.01, 0.9)
        results.append(case.flat.copy())
    np.testing.assert_array_equal(*results)


def test_online_steps_equal_an_epoch_of_batches_of_one():
    case = Case(6, dtype="float32", batch=9, plain=True)
    stepped = case.flat.copy()
    case.train(np.arange(9), 1, 0.1, 0.0)
    online = OnlineStep(case.net, stepped, int(case.data.lengths[0]), case.spaces.memory)
    for sequence, target in zip(case.split(case.data.x), case.targets.y, strict=True):
        online.x[...], online.y[...] = sequence, target
        assert online.forward()
        online.backward(0.1)
    np.testing.assert_allclose(stepped, case.flat, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", ["gru_before", "lstm"])
def test_steps_of_one_sequence_equal_an_epoch_of_batches_of_one(cell, sequences):
    case = Case(6, cell, batch=9, plain=True, sequences=sequences, layers=2)
    T, stepped = int(case.data.lengths[0]), case.flat.copy()
    case.train(np.arange(9), 1, 0.1, 0.0)
    step = UnitStep(case.net, stepped, T, case.spaces.memory)
    targets = case.targets.y.reshape(9, *step.y.shape)
    for sequence, target in zip(case.split(case.data.x), targets, strict=True):
        step.x[...], step.y[...] = sequence, target
        assert step.forward()
        step.backward(0.1)
    np.testing.assert_allclose(stepped, case.flat, rtol=1e-11, atol=1e-13)
    step.x[0] = np.nan
    assert not step.forward()
    np.testing.assert_array_equal(step.x, case.split(case.data.x)[-1])


def test_means_of_many_epochs_have_the_bits_of_each():
    results = np.random.default_rng(0).uniform(-3, 3, (6, operations.RESULTS))
    results[2, 2] = results[3, 4] = 0  # no weight, no update
    each, all_of = [operations.reported(row) for row in results], operations.reported_each(results)
    for name, values in all_of.items():
        np.testing.assert_array_equal(values, [getattr(epoch, name) for epoch in each])
