"""Exchange of the recurrent layers of a model, in place."""

from __future__ import annotations

from typing import TypeVar

import torch

from .layers import GRU, LSTM, RNN, check_supported

M = TypeVar("M", bound=torch.nn.Module)

OURS: dict[type, type] = {torch.nn.RNN: RNN, torch.nn.GRU: GRU, torch.nn.LSTM: LSTM}
THEIRS = {ours: theirs for theirs, ours in OURS.items()}


def replace(module: M, inverse: bool = False) -> M:
    """Have rnn_fast compute all recurrent layers of a model, or PyTorch again; return the model.

    Each layer stays the same object with the same parameters, hooks and names: an optimizer made
    before keeps working.  Only its class changes.

    Parameters
    ----------
    module : torch.nn.Module
        A model on the CPU, or a layer.  Layers that are exactly a `torch.nn.RNN`, `GRU` or `LSTM`
        are replaced; subclasses of them are left as they are.
    inverse : bool
        Whether to return from layers of rnn_fast to layers of `torch.nn`.

    Raises
    ------
    TypeError
        `module` is no `torch.nn.Module`, or a layer has parameters of a dtype other than float32
        and float64.
    ValueError
        A layer has projections, or is not on the CPU.  No layer is replaced then.
    """
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module; got {type(module).__name__}")
    classes = THEIRS if inverse else OURS
    layers = [(name, m) for name, m in module.named_modules() if type(m) in classes]
    if not inverse:
        for name, layer in layers:
            check_supported(layer, name or "module")
    for _, layer in layers:
        layer.__class__ = classes[type(layer)]
    return module
