"""The layers RNN, GRU and LSTM of `torch.nn`, computed by rnn_fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ..cells.specs import CELLS
from .autograd import compute
from .recurrence import DTYPES, Layers, Tensors, n_sequences


def check_supported(layer: torch.nn.RNNBase, name: str) -> None:
    """Raise an error for a layer of `torch.nn` that rnn_fast cannot compute.

    Raises
    ------
    TypeError
        Parameters of a dtype other than float32 and float64.
    ValueError
        Projections, or parameters that are not on the CPU.
    """
    if layer.proj_size:
        raise ValueError(f"{name} has proj_size={layer.proj_size}; projections are not supported")
    for parameter in layer.parameters():
        check_tensor(f"{name}: parameters", parameter)


def check_tensor(name: str, tensor: Tensor) -> None:
    """Raise an error for a tensor that is not on the CPU, or of another dtype."""
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{name} must be on the CPU for rnn_fast; got device {tensor.device}. "
            "torch.nn has the same layers for other devices"
        )
    if tensor.dtype not in DTYPES:
        raise TypeError(
            f"{name} must be float32 or float64 for rnn_fast; got {tensor.dtype}. "
            "torch.nn has the same layers for other dtypes"
        )


class Recurrent(torch.nn.RNNBase if TYPE_CHECKING else object):  # type: ignore[misc]
    """The computation of a layer of `torch.nn`, in front of its class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.proj_size:
            raise ValueError(f"proj_size={self.proj_size}: projections are not supported")

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the outputs and the final states, as the layer of `torch.nn`.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            Weights of a dtype other than float32 and float64, a tensor that is not on the CPU, and
            all that the layer of `torch.nn` refuses.
        """
        self._update_flat_weights()
        packed = isinstance(input, PackedSequence)
        x, batch_sizes, order, order_back = input if packed else (input, None, None, None)
        check_tensor("parameters", self._flat_weights[0])
        layers = self._layers()
        has_memory = CELLS[layers.cell].has_memory
        states = () if hx is None else tuple(hx) if has_memory else (hx,)
        is_alone = not packed and x.dim() == 2
        if is_alone:
            layers = layers._replace(batch_first=True)
            x, states = x.unsqueeze(0), tuple(state.unsqueeze(1) for state in states)
        if order is not None:
            states = tuple(state.index_select(1, order) for state in states)
        if torch.is_autocast_enabled("cpu"):
            dtype = self._flat_weights[0].dtype
            x, states = x.to(dtype), tuple(state.to(dtype) for state in states)
        if not self._fits(layers, x, states, batch_sizes):
            return super().forward(input, hx)  # it says what is wrong, or has nothing to compute
        seed = torch.randint(2**62, (1,)) if layers.dropout else None
        tensors = Tensors(x, states, self._flat_weights, batch_sizes, seed)
        output, final = compute(layers, tensors)
        if is_alone:
            output, final = output.squeeze(0), [state.squeeze(1) for state in final]
        if order_back is not None:
            final = [state.index_select(1, order_back) for state in final]
        if packed:
            output = PackedSequence(output, batch_sizes, order, order_back)
        return output, tuple(final) if has_memory else final[0]

    def _layers(self) -> Layers:
        return Layers(
            cell=self.mode.rpartition("_")[2].lower(),  # RNN_TANH, RNN_RELU, GRU, LSTM
            input_size=self.input_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            directions=2 if self.bidirectional else 1,
            batch_first=self.batch_first,
            dropout=self.dropout if self.training and self.num_layers > 1 else 0.0,
        )

    def _fits(
        self, layers: Layers, x: Tensor, states: tuple[Tensor, ...], batch_sizes: Tensor | None
    ) -> bool:
        """Return whether tensors have the right shapes, and there is something to compute."""
        if x.dim() != (3 if batch_sizes is None else 2) or layers.dropout == 1:
            return False
        weight, n_states = self._flat_weights[0], CELLS[layers.cell].n_states
        N = n_sequences(layers, x, batch_sizes)
        shape = (layers.num_layers * layers.directions, N, layers.hidden_size)
        return (
            x.numel() > 0
            and x.shape[-1] == layers.input_size
            and len(states) in (0, n_states)
            and all(state.shape == shape for state in states)
            and all(
                t.dtype == weight.dtype and t.device.type == weight.device.type
                for t in (x, *states)
            )
        )


class RNN(Recurrent, torch.nn.RNN):
    """`torch.nn.RNN` on the CPU, computed by rnn_fast.

    The same arguments, parameters, inputs, outputs and errors.  Gradients of gradients are not
    supported; dropout draws other masks than `torch.nn`, from the same generator of PyTorch.
    """


class GRU(Recurrent, torch.nn.GRU):
    """`torch.nn.GRU` on the CPU, computed by rnn_fast; see `RNN`."""


class LSTM(Recurrent, torch.nn.LSTM):
    """`torch.nn.LSTM` on the CPU, computed by rnn_fast; see `RNN`.

    Projections (`proj_size`) are not supported.
    """
