"""Models written in the formats of others; the formats themselves are in `formats`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch


class Exported:
    """The part of a model that leaves for other programs."""

    _net: Any
    _flat: Any

    def to_c(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        output: Literal[
            "predict", "predict_proba", "decision_function", "predict_distribution"
        ] = "predict",
    ) -> None:
        """Write the model as one header in C99, with the weights and the next step of a sequence.

        ``NAME_reset(&state)`` begins a sequence, ``NAME_step(&state, x, y)`` reads a step x and
        writes its outputs y, as `stream` does; with an embedding x is an index.  The header is C++
        as well, needs no library, allocates nothing, and its loops become vector code.

        Parameters
        ----------
        path : path
            An existing file is replaced at once or, after an OSError, unchanged.
        name : str, optional
            An identifier in C, with which all names begin.  Default: the name of the file without
            its ending.
        output : {"predict", "predict_proba", "decision_function", "predict_distribution"}
            The method whose results are the outputs.  Labels are numbers 0 and 1, a class is one
            number; predict_distribution has mean and standard deviation of each value in turn.

        Raises
        ------
        TypeError, ValueError
            `name` is no identifier; the model is bidirectional, or a `Recurrent`, whose maths is
            Python's; the loss has no such output; a parameter is not finite.
        OSError
            The file cannot be written.
        """
        from ..formats.c import write_c

        write_c(path, name, type(self).__name__, self._net, self._flat, output)

    def to_library(self, path: str | os.PathLike[str], name: str = "model") -> None:
        """Write a shared library that runs one sequence step by step, and a header beside it.

        It has the bits of `stream`, without Python: the compiled program and the weights behind two
        functions of C, `name`_reset and `name`_step.  The header, `path` with the suffix ``.h``,
        says how to call them.  They allocate nothing; several sequences at a time are several
        pieces of memory.  The outputs are those of `decision_function`.

        The code is for this system and this very processor, or for the level that
        ``RNN_FAST_TARGET`` names.  A C compiler links it: ``CC``, or cc, gcc, clang, or that of the
        package ziglang.

        Parameters
        ----------
        path : path
            Of the library, such as ``model.so``.
        name : str
            An identifier of C.

        Raises
        ------
        ValueError
            `name` is no identifier, or the model has a reverse direction.
        ImportError
            Numba is not installed.
        RuntimeError
            There is no C compiler, or it failed.
        """
        from ..formats.library import write_library

        write_library(self, path, name)

    def to_rtneural(
        self,
        path: str | os.PathLike[str],
        *,
        output: Literal["decision_function", "predict_proba"] = "decision_function",
    ) -> None:
        """Write the model as JSON that loaders of RTNeural, AIDA-X and GuitarML read.

        RTNeural runs a model step by step from a state of zero.  It does not add inputs to outputs:
        do that for a model with `skip`, as AIDA-X does if the file says so, and GuitarML's plug-ins
        always do.

        Parameters
        ----------
        path : path
            An existing file is replaced at once or, after an OSError, unchanged.
        output : {"decision_function", "predict_proba"}
            The method whose results the last layer returns.  Probabilities are for RTNeural alone.

        Raises
        ------
        TypeError, ValueError
            The model is not a GRU that resets after the product or an LSTM without peepholes, or
            it has a reverse direction, an embedding or learned initial states, which RTNeural does
            not have; the loss has no probabilities; a parameter is not finite.
        OSError
            The file cannot be written.
        """
        from ..formats.rtneural import write_rtneural

        write_rtneural(self, path, output)

    def to_torch(self) -> torch.nn.Module:
        """Return a PyTorch module that computes the logits, with copies of the weights.

        Returns
        -------
        torch.nn.Module
            ``forward(x)`` takes a tensor (N, T, I), or indices (N, T), and returns the values of
            `decision_function`, always with the axis of outputs.  Its submodules are `rnn`
            (batch_first), `head`, and `embedding` or None; learned initial states are its
            parameters `h0` and `c0`.  Our bias becomes the first of PyTorch's two biases, and the
            second starts at zero; if PyTorch trains both, their sum learns twice as fast.

        Raises
        ------
        ValueError
            The model is a LeakyRNN, an LSTM with peepholes or a GRU that resets before the product,
            which PyTorch does not have, or it has a skip.
        ImportError
            PyTorch is not installed.
        """
        from ..formats.pytorch import to_module

        return to_module(self)
