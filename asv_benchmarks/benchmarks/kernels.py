"""Time of each kernel alone, so that other kernels do not hide a slower one.

The figure is the time of one call, divided by the time of the frozen tile kernel (`measure`,
`tile`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import tile
from .measure import calibrated
from .programs import bound, lanes, reals


class Kernel:
    """A compiled program around one kernel, warmed up and timed beside the calibration."""

    unit = tile.UNIT
    timeout = 60
    work: Callable[[int], None]


class Products(Kernel):
    """Tile products of a batch and of one sample; weight gradients by panels or by dots."""

    params = (("multiply", "panels", "dots", "combine"), ("float32", "float64"))
    param_names = ("kernel", "dtype")

    def setup(self, kernel: str, dtype: str) -> None:
        n = lanes(dtype)
        if kernel == "multiply":
            a, b, out = reals(32 * 32, dtype), reals(32 * n, dtype), reals(32 * n, dtype)
            self.work = bound("multiply", dtype, a=a, b=b, out=out)
        elif kernel == "combine":
            a, b, out = reals(64, dtype), reals(64 * n, dtype), reals(n, dtype)
            self.work = bound("combine", dtype, a=a, b=b, out=out)
        else:
            columns = n if kernel == "panels" else 4
            self.work = bound(
                "weight_gradients",
                dtype,
                grads=reals(16 * columns * n, dtype),
                columns=columns,
                da=reals(2 * 16 * n, dtype, 1e-6),
                z=reals(2 * columns * n, dtype),
                panel=reals(2 * n * n, dtype),
            )

    def track_time(self, kernel: str, dtype: str) -> float:
        return calibrated(self.work)


class Cells(Kernel):
    """Elementwise operations of a step with 4 units, forward and backward."""

    params = (
        ("tanh", "relu", "lstm", "lstm_peephole", "gru", "gru_before"),
        ("forward", "backward"),
    )
    param_names = ("cell", "way")
    dtype = "float32"

    def setup(self, cell: str, way: str) -> None:
        n = 4 * lanes(self.dtype)
        names = ["a", "h_prev", "h", "c_prev", "c", "vectors", "options"]
        if way == "backward":
            names += ["da", "dh", "dc", "dvectors", "dlate"]
        arrays = {name: reals(5 * n, self.dtype, 0.5) for name in names}
        arrays["options"] = np.zeros(1)
        if way == "backward":  # gates lie between 0 and 1
            arrays["a"][:] = abs(np.tanh(arrays["a"]))
        self.work = bound(f"cell_{way}", self.dtype, cell, **arrays)

    def track_time(self, cell: str, way: str) -> float:
        return calibrated(self.work)


class CellsDouble(Cells):
    """Elementwise operations in float64, for the most used cells."""

    params = (("tanh", "lstm", "gru"), ("forward", "backward"))
    dtype = "float64"


class Functions(Kernel):
    """Elementary functions of 512 numbers."""

    params = (("exp", "tanh", "sigmoid", "log1p"), ("float32", "float64"))
    param_names = ("function", "dtype")

    def setup(self, function: str, dtype: str) -> None:
        x, y = reals(512, dtype, 2.0), reals(512, dtype)
        x[:] = {"exp": -abs(x), "log1p": abs(x)}.get(function, x)
        self.work = bound("function", dtype, function, x=x, y=y)

    def track_time(self, function: str, dtype: str) -> float:
        return calibrated(self.work)


class Losses(Kernel):
    """Loss and gradient of 4 outputs."""

    params = ("bce", "cross_entropy", "mse", "huber", "mae")
    param_names = ("loss",)

    def setup(self, loss: str) -> None:
        n = lanes("float32")
        names = ("logits", "targets", "weights", "losses", "hits")
        arrays = {name: reals(4 * n, "float32") for name in names}
        arrays["targets"][:] = 1.0
        self.work = bound("loss", "float32", loss, numbers=np.zeros(4), **arrays)

    def track_time(self, loss: str) -> float:
        return calibrated(self.work)


class Updates(Kernel):
    """Optimizer steps on 1003 parameters, with momentum if there is any; norm limit, penalties."""

    params = ("sgd", "rmsprop", "adam", "adamw", "adagrad", "clip", "penalize")
    param_names = ("update",)

    def setup(self, update: str) -> None:
        from rnn_fast.optimizers import OPTIMIZERS, SGD, RMSprop

        momentum = {"sgd": SGD(momentum=0.9), "rmsprop": RMSprop(momentum=0.9)}
        kind = OPTIMIZERS.get(update, SGD)
        record = momentum.get(update, kind()).knobs(clip_norm=1e9)
        record[0] = 10.0  # updates so far
        parameters, gradients = reals(1003, "float32"), reals(1003, "float32")
        if update == "clip":
            self.work = bound("clip", "float32", gradients=gradients, record=record)
        elif update == "penalize":
            penalties = abs(reals(2 * 1003, "float32", 1e-12))
            self.work = bound(
                "penalize",
                "float32",
                parameters=parameters,
                gradients=gradients,
                penalties=penalties,
            )
        else:
            self.work = bound(
                "update",
                "float32",
                update,
                parameters=parameters,
                gradients=gradients,
                moments=abs(reals(3 * 1003, "float32")),
                record=record,
                spare=reals(64 * 8, "float32"),
            )

    def track_time(self, update: str) -> float:
        return calibrated(self.work)


class Around(Kernel):
    """Work around the products: packing, inputs into lanes, ends of sequences, dropout."""

    params = ("pack", "unpack", "load_inputs", "freeze", "hold", "draw_mask")
    param_names = ("kernel",)

    def setup(self, kernel: str) -> None:
        n = lanes("float32")
        if kernel == "pack":
            source, out = reals(64 * 36, "float32"), reals(64 * 36, "float32")
            self.work = bound("pack", "float32", source=source, out=out)
        elif kernel == "unpack":
            grads, out = reals(32 * 5 * n, "float32"), reals(32 * (n + 4), "float32")
            self.work = bound("unpack", "float32", grads=grads, out=out)
        elif kernel == "load_inputs":
            ids = np.zeros((6, n), np.int64)
            ids[1] = np.arange(n) * 8
            ids[2] = np.where(np.arange(n) % 2, 4, 8)
            x, z = reals(n * 8 * 5, "float32"), reals(8 * 6 * n, "float32")
            self.work = bound("load_inputs", "float32", x=x, ids=ids, z=z)
        elif kernel == "draw_mask":
            ids = np.arange(6 * n).reshape(6, n)
            self.work = bound("dropout", "float32", ids=ids, mask=reals(16 * n, "float32"))
        else:
            lengths = (np.arange(n) % 16).astype(np.float32)
            p, q = reals(16 * n, "float32"), reals(16 * n, "float32")
            self.work = bound("ends", "float32", kernel, lengths=lengths, p=p, q=q)

    def track_time(self, kernel: str) -> float:
        return calibrated(self.work)


class Units(Kernel):
    """Parts of the single driver, for 10 steps of 32 units as in the tutorial."""

    params = ("unit_forward", "unit_backward", "unit_gradients")
    param_names = ("kernel",)

    def setup(self, kernel: str) -> None:
        from rnn_fast.engine.workspace import SingleSpace
        from rnn_fast.layout.network import Network

        net = Network("tanh", np.dtype("float32"), 1, 32, 1, "bce")
        space = SingleSpace(net, 10)
        space.work[:] = reals(len(space.work), "float32", 1e-3)
        names = ("sizes", "offsets", "work")
        arrays = {name: getattr(space, name) for name in names}
        self.work = bound("units", "float32", kernel, *space.tile, **arrays)

    def track_time(self, kernel: str) -> float:
        return calibrated(self.work)
