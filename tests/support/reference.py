"""The textbook, in float64 NumPy: what every fast path is compared with.

It imports nothing of the package, takes one sequence, one step and one run at a time, and is slow
on purpose.  `net` is anything with the fields of the package's Network; parameters, states and
outputs have the package's names and shapes.  In backward code the forward line is quoted above its
gradient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
Params = dict[str, Array]


def sigmoid(z: Array) -> Array:
    """Return ``1 / (1 + exp(-z))`` without overflow, with full relative accuracy."""
    return np.exp(-np.logaddexp(0.0, -z))


def softmax(z: Array) -> Array:
    """Return ``exp(z_i) / sum_j exp(z_j)`` along the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# -------------------------------------------------------------------------------------- cells


class Simple:
    """h = f(Wxh x + bh + Whh h')."""

    gates, names, states = 1, (), 1

    @staticmethod
    def forward(f, p, x, h, c):
        a = p["Wxh"] @ x + p["bh"] + p["Whh"] @ h
        new = np.tanh(a) if f == "tanh" else np.maximum(a, 0.0)
        return new, c, (x, h, new)

    @staticmethod
    def backward(f, p, kept, dh, dc, g):
        x, h, new = kept
        # h = f(a)
        da = dh * (1.0 - new * new) if f == "tanh" else dh * (new > 0.0)
        # a = Wxh x + bh + Whh h'
        g["Wxh"] += np.outer(da, x)
        g["bh"] += da
        g["Whh"] += np.outer(da, h)
        return p["Wxh"].T @ da, p["Whh"].T @ da, dc


class GRU:
    """Gates r z n; n's product of h' is multiplied by r, or (gru_before) takes r h'."""

    gates, names, states = 3, ("bhn",), 1

    @staticmethod
    def forward(f, p, x, h, c):
        H = len(h)
        ax = p["Wxh"] @ x + p["bh"]
        r, z = np.split(sigmoid(ax[: 2 * H] + p["Whh"][: 2 * H] @ h), 2)
        Wn = p["Whh"][2 * H :]
        if f == "gru":
            m = Wn @ h + p["bhn"]
            n = np.tanh(ax[2 * H :] + r * m)
        else:
            m = r * h
            n = np.tanh(ax[2 * H :] + Wn @ m)
        return (1.0 - z) * n + z * h, c, (x, h, r, z, n, m)

    @staticmethod
    def backward(f, p, kept, dh, dc, g):
        x, h, r, z, n, m = kept
        H = len(h)
        Wn = p["Whh"][2 * H :]
        # h = (1 - z) n + z h'
        dz, dn, dh_prev = dh * (h - n), dh * (1.0 - z), dh * z
        da_n = dn * (1.0 - n * n)
        if f == "gru":  # n = tanh(a + r m), m = Whn h' + bhn
            dr, dm = da_n * m, da_n * r
            g["Whh"][2 * H :] += np.outer(dm, h)
            g["bhn"] += dm
            dh_prev = dh_prev + Wn.T @ dm
        else:  # n = tanh(a + Whn m), m = r h'
            dm = Wn.T @ da_n
            g["Whh"][2 * H :] += np.outer(da_n, m)
            dr = dm * h
            dh_prev = dh_prev + dm * r
        da = np.concatenate([dr * r * (1.0 - r), dz * z * (1.0 - z), da_n])
        # a = Wxh x + bh, and r, z also + Whh h'
        g["Wxh"] += np.outer(da, x)
        g["bh"] += da
        g["Whh"][: 2 * H] += np.outer(da[: 2 * H], h)
        return p["Wxh"].T @ da, dh_prev + p["Whh"][: 2 * H].T @ da[: 2 * H], dc


class LSTM:
    """Gates i f g o; i and f see p * c', o sees p * c."""

    gates, names, states = 4, ("peephole",), 2

    @staticmethod
    def forward(f, p, x, h, c):
        a_i, a_f, a_g, a_o = np.split(p["Wxh"] @ x + p["bh"] + p["Whh"] @ h, 4)
        p_i, p_f, p_o = p.get("peephole", np.zeros((3, len(h))))
        i, forget, g = sigmoid(a_i + p_i * c), sigmoid(a_f + p_f * c), np.tanh(a_g)
        new = forget * c + i * g
        o = sigmoid(a_o + p_o * new)
        return o * np.tanh(new), new, (x, h, c, i, forget, g, o, new)

    @staticmethod
    def backward(f, p, kept, dh, dc, grads):
        x, h, c, i, forget, g, o, new = kept
        p_i, p_f, p_o = p.get("peephole", np.zeros((3, len(h))))
        # h = o tanh(c), o = sigmoid(a_o + p_o c)
        t = np.tanh(new)
        da_o = dh * t * o * (1.0 - o)
        dc = dc + dh * o * (1.0 - t * t) + da_o * p_o
        # c = f c' + i g, i = sigmoid(a_i + p_i c'), f likewise
        da_i = dc * g * i * (1.0 - i)
        da_f = dc * c * forget * (1.0 - forget)
        da_g = dc * i * (1.0 - g * g)
        if "peephole" in p:
            grads["peephole"] += np.stack([da_i * c, da_f * c, da_o * new])
        da = np.concatenate([da_i, da_f, da_g, da_o])
        # a = Wxh x + bh + Whh h'
        grads["Wxh"] += np.outer(da, x)
        grads["bh"] += da
        grads["Whh"] += np.outer(da, h)
        return p["Wxh"].T @ da, p["Whh"].T @ da, dc * forget + da_i * p_i + da_f * p_f


class Leaky:
    """A leaky unit: rate, h = h' + alpha (f(a) - h'); membrane, c = c' + alpha (a - c'), h = f(c).

    alpha is 0.2, or the sigmoid of the unit's leak.
    """

    gates, names, states = 1, ("leak",), 1

    @staticmethod
    def forward(name, p, x, h, c):
        f = np.tanh if name.endswith("tanh") else lambda a: np.maximum(a, 0.0)
        alpha = sigmoid(p["leak"]) if "leak" in p else 0.2
        a = p["Wxh"] @ x + p["bh"] + p["Whh"] @ h
        if name.startswith("rate"):
            r = f(a)
            return h + alpha * (r - h), c, (x, h, alpha, r, r - h)
        new = c + alpha * (a - c)
        return f(new), new, (x, h, alpha, f(new), a - c)

    @staticmethod
    def backward(name, p, kept, dh, dc, grads):
        x, h, alpha, r, move = kept
        slope = 1.0 - r * r if name.endswith("tanh") else r > 0.0
        if name.startswith("rate"):
            # h = h' + alpha (f(a) - h')
            dalpha, da, dh_prev = dh * move, dh * alpha * slope, dh * (1.0 - alpha)
        else:
            # h = f(c), c = c' + alpha (a - c')
            dc = dc + dh * slope
            dalpha, da, dh_prev, dc = dc * move, dc * alpha, 0.0, dc * (1.0 - alpha)
        if "leak" in p:
            grads["leak"] += dalpha * alpha * (1.0 - alpha)
        grads["Wxh"] += np.outer(da, x)
        grads["bh"] += da
        grads["Whh"] += np.outer(da, h)
        return p["Wxh"].T @ da, dh_prev + p["Whh"].T @ da, dc


class Membrane(Leaky):
    """The leaky unit with two states."""

    states = 2


LEAKY = {
    f"{form}_{kind}_{f}": cell
    for form, cell in (("rate", Leaky), ("membrane", Membrane))
    for kind in ("fixed", "learned")
    for f in ("tanh", "relu")
}
CELLS: dict[str, Any] = {
    "tanh": Simple,
    "relu": Simple,
    "gru": GRU,
    "gru_before": GRU,
    "lstm": LSTM,
    "lstm_peephole": LSTM,
    **LEAKY,
}
#: rows of each vector of a cell
VECTORS: dict[str, dict[str, int]] = {
    "gru": {"bhn": 1},
    "lstm_peephole": {"peephole": 3},
    **{name: {"leak": 1} for name in LEAKY if "learned" in name},
}


# ------------------------------------------------------------------------------------- network


def suffix(run: int, directions: int) -> str:
    """What a run's parameters are called: "", "_reverse", "_l1", "_l1_reverse", ..."""
    layer, direction = divmod(run, directions)
    return (f"_l{layer}" if layer else "") + ("_reverse" if direction else "")


def shapes(net: Any) -> dict[str, tuple[int, ...]]:
    """Name to shape of every parameter."""
    H, D, G = net.hidden_size, net.directions, CELLS[net.cell].gates
    R, found = net.layers * D, {}
    for run in range(R):
        I, s = (D * H if run >= D else net.embedding or net.input_size), suffix(run, D)
        found |= {f"Wxh{s}": (G * H, I), f"Whh{s}": (G * H, H), f"bh{s}": (G * H,)}
        for name, n in VECTORS.get(net.cell, {}).items():
            found[f"{name}{s}"] = (n, H) if n > 1 else (H,)
    found |= {"Why": (net.output_size, D * H), "by": (net.output_size,)}
    if net.learned_state:
        found |= {"h0": (R, H)} | ({"c0": (R, H)} if CELLS[net.cell].states == 2 else {})
    if net.embedding:
        found["embedding"] = (net.input_size, net.embedding)
    return found


def random_params(net: Any, rng: np.random.Generator) -> Params:
    """Draw every parameter at random: constant ones, or zero biases, would hide mistakes."""
    return {
        name: rng.standard_normal(shape) / np.sqrt(shape[-1] if len(shape) > 1 else 10)
        for name, shape in shapes(net).items()
    }


class Result(NamedTuple):
    """What `run` finds."""

    loss: float
    accuracy: float
    gradients: Params  # by the loss, of every parameter
    outputs: list[Array]  # logits of each sequence: (T, O), or (O,)
    final: Array  # (N, states, R, H): states after the last step, of reverse runs after step 0
    dstate: Array  # (N, states, R, H): gradient by the initial state
    dx: list[Array]  # of each sequence (T, I): gradient by what layer 0 takes


#: losses of one logit an output
LOSSES = ("bce", "cross_entropy", "mse", "huber", "mae", "linear", "poisson")


def loss_and_logit_gradient(loss: str, z: Array, y: Array) -> tuple[float, Array, float]:
    """Return loss, its gradient and whether all is right, of one output: z (O,), y (O,) or class.

    Cross-entropy is that of the softmax; the others are means over the outputs.  Of values the last
    is the squared error.
    """
    if loss == "cross_entropy":
        value = np.log(np.exp(z - z.max()).sum()) - (z[int(y)] - z.max())
        return float(value), softmax(z) - np.eye(len(z))[int(y)], z.argmax() == int(y)
    e, O = z - y, len(z)
    if loss == "bce":
        value = y * np.logaddexp(0.0, -z) + (1.0 - y) * np.logaddexp(0.0, z)
        dz = (1.0 - y) * sigmoid(z) - y * sigmoid(-z)  # sigmoid(z) - y
        return float(value.mean()), dz / O, bool(((z > 0) == (y > 0.5)).all())
    if loss == "linear":
        return float(z @ y), y, 0.0
    if loss == "poisson":
        e = np.exp(z) - y
        value, dz = np.exp(z) - z * y, e
    elif loss == "mse":
        value, dz = e**2, 2.0 * e
    elif loss == "mae":
        value, dz = np.abs(e), np.sign(e)
    elif loss == "huber":
        value = np.where(np.abs(e) <= 1.0, e**2 / 2.0, np.abs(e) - 0.5)
        dz = np.clip(e, -1.0, 1.0)
    else:
        raise ValueError(f"the oracle has no loss {loss!r}")
    return float(value.mean()), dz / O, float((e**2).mean())


def run(
    net: Any,
    params: Params,
    sequences: list[Array],
    targets: list[Any] | None = None,
    weights: list[Any] | None = None,
    state: Array | None = None,
    masks: list[list[Array]] | None = None,
) -> Result:
    """Run the network over sequences and back.

    Parameters
    ----------
    net
        Fields cell, hidden_size, output_size, loss, layers, directions, sequences, embedding,
        learned_state.
    params : dict
        By name, see `shapes`.
    sequences : list of (T_i, I) arrays, or (T_i,) of integers with an embedding
    targets, weights : list
        Of each sequence, or (`net.sequences`) of each of its steps.  The loss is the weighted mean.
    state : (N, states, R, H), optional
        Initial states; zero, or the learned ones, without.
    masks : list, of each sequence a list, of each layer but the last (T_i, D H)
        Factors of dropout.
    """
    R, D, H = net.layers * net.directions, net.directions, net.hidden_size
    states = CELLS[net.cell].states
    grads = {name: np.zeros(shape) for name, shape in shapes(net).items()}
    if state is None:
        learned = [params[name] for name in ("h0", "c0") if name in params]
        start = np.array(learned) if learned else np.zeros((states, R, H))
        state = np.repeat(start[None], len(sequences), axis=0)
    all_weights = np.concatenate([np.atleast_1d(w) for w in weights]) if weights else None
    if all_weights is not None:
        total = all_weights.sum()
    else:
        total = sum(map(len, sequences)) if net.sequences else len(sequences)
    loss, right, outputs, finals, dstates, dxs = 0.0, 0.0, [], [], [], []
    for k, sequence in enumerate(sequences):
        x = params["embedding"][sequence] if net.embedding else np.asarray(sequence, float)
        T, layers, final = len(x), [], np.zeros((states, R, H))
        for layer in range(net.layers):
            if layer and masks is not None:
                x = x * masks[k][layer - 1]
            runs = []
            for d in range(D):
                r = layer * D + d
                one = Run(net.cell, params, suffix(r, D), d == 1)
                final[:, r] = one.forward(x, state[k][:, r])
                runs.append(one)
            layers.append(runs)
            x = np.concatenate([one.outputs for one in runs], axis=1)
        last = final[0, R - D :].ravel()
        y = x if net.sequences else last[None]
        logits = y @ params["Why"].T + params["by"]
        outputs.append(logits if net.sequences else logits[0])
        finals.append(final)
        if targets is None:
            continue
        dz = np.zeros_like(logits)
        for t, z in enumerate(logits):
            target = targets[k][t] if net.sequences else targets[k]
            w = 1.0 if weights is None else (weights[k][t] if net.sequences else weights[k])
            value, slope, hit = loss_and_logit_gradient(net.loss, z, target)
            loss += w * value / total
            right += w * hit / total
            dz[t] = w * slope / total
        # logits = y Why^T + by
        grads["Why"] += dz.T @ y
        grads["by"] += dz.sum(axis=0)
        dy = dz @ params["Why"]
        if not net.sequences:
            dlast, dy = dy[0].reshape(D, H), np.zeros((T, D * H))
        dstate = np.zeros((states, R, H))
        for layer in reversed(range(net.layers)):
            dx = 0.0
            for d, one in enumerate(layers[layer]):
                dfinal = np.zeros(H)
                if not net.sequences and layer == net.layers - 1:
                    dfinal = dlast[d]
                dx_d, first = one.backward(dy[:, d * H : (d + 1) * H], dfinal, grads)
                dx = dx + dx_d
                dstate[:, layer * D + d] = first[:states]
            if layer and masks is not None:
                dx = dx * masks[k][layer - 1]
            dy = dx
        dstates.append(dstate)
        dxs.append(dy)
        if net.embedding:
            np.add.at(grads["embedding"], sequence, dy)
    if net.learned_state and dstates:
        for name, gradient in zip(("h0", "c0"), np.sum(dstates, axis=0), strict=False):
            grads[name] += gradient
    return Result(loss, right, grads, outputs, np.array(finals), np.array(dstates), dxs)


class Run:
    """One layer in one direction, over one sequence."""

    def __init__(self, cell: str, params: Params, ending: str, reverse: bool):
        self.cell, self.kind, self.reverse = cell, CELLS[cell], reverse
        names = ("Wxh", "Whh", "bh", *self.kind.names)
        self.names = {name: f"{name}{ending}" for name in names if f"{name}{ending}" in params}
        self.params = {name: params[full] for name, full in self.names.items()}

    def order(self, T: int) -> Any:
        return reversed(range(T)) if self.reverse else range(T)

    def forward(self, x: Array, state: Array) -> Array:
        """Run over x (T, I); return the final state."""
        h, c = state[0], state[-1]
        self.kept: list[Any] = [None] * len(x)
        self.outputs = np.zeros((len(x), len(h)))
        for t in self.order(len(x)):
            h, c, self.kept[t] = self.kind.forward(self.cell, self.params, x[t], h, c)
            self.outputs[t] = h
        return np.array([h, c])[: len(state)]

    def backward(self, dy: Array, dfinal: Array, grads: Params) -> tuple[Array, Array]:
        """Return the gradients by x (T, I) and by the initial state; add those of parameters."""
        own = {name: grads[full] for name, full in self.names.items()}
        dh, dc, dx = dfinal, np.zeros_like(dfinal), [None] * len(dy)
        for t in reversed(list(self.order(len(dy)))):
            dx[t], dh, dc = self.kind.backward(
                self.cell, self.params, self.kept[t], dh + dy[t], dc, own
            )
        return np.array(dx), np.array([dh, dc])


def sgd(
    params: Params,
    gradients: Params,
    velocity: Params,
    learning_rate: float,
    momentum: float = 0.0,
) -> None:
    """Take one step in place, as PyTorch defines it: ``v = momentum v + g``, ``p = p - lr v``."""
    for name, gradient in gradients.items():
        velocity[name] *= momentum
        velocity[name] += gradient
        params[name] -= learning_rate * velocity[name]
