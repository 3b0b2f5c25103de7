"""Models written in the formats of others; the formats themselves are in `formats`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

if TYPE_CHECKING:
    import keras
    import onnx
    import torch

#: opset of ONNX by default: what runtimes of 2022 and later read
OPSET = 17


class Exported:
    """The part of a model that leaves for other programs."""

    _net: Any
    _flat: Any
    _views: Any
    description: Any  # methods of the model

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

    def to_flax(self, api: Literal["linen", "nnx"] = "linen") -> dict[str, Any]:
        """Return copies of the parameters, named as those of Flax's modules.

        A module of such names computes the logits of `decision_function`::

            class Network(nn.Module):  # import flax.linen as nn
                @nn.compact
                def __call__(self, x):
                    x = nn.RNN(nn.OptimizedLSTMCell(16, name="layer_0"))(x)
                    x = nn.RNN(nn.OptimizedLSTMCell(16, name="layer_1"))(x)
                    return nn.Dense(1, name="head")(x[:, -1])

            logits = Network().apply({"params": model.to_flax()}, X)

        Parameters
        ----------
        api : {"linen", "nnx"}
            The cells' parameters are those of flax.linen's SimpleCell, GRUCell, LSTMCell and
            OptimizedLSTMCell, or of flax.nnx's SimpleCell, GRUCell and OptimizedLSTMCell.

        Returns
        -------
        dict
            Trees of NumPy arrays: ``layer_0``, ``layer_0_reverse`` and so on, of a cell each;
            ``head`` of a Dense or Linear; ``embedding`` of an Embed.  Learned initial states are
            arrays ``h0`` and ``c0``, (num_layers * D, H).

        Raises
        ------
        ValueError
            Flax has no such cell: that of LeakyRNN, peepholes, a GRU that resets before the
            product, your own; nnx's GRUCell has no bhn, which must be zero.
        """
        from ..formats.flax import to_parameters

        return to_parameters(self, api)

    def to_keras(self) -> keras.Model:
        """Return a Keras model that computes the logits, with copies of the weights.

        Returns
        -------
        keras.Model
            A functional model that takes (N, T, I), or indices (N, T), for any N and T, and returns
            the values of `decision_function`; one output is (N, 1), or (N, T, 1).  Train it with
            losses that take logits, such as ``BinaryCrossentropy(from_logits=True)``.  Its layers
            are an Embedding with `embedding_size`, a SimpleRNN, GRU or LSTM for each layer, named
            ``layer_0`` and so on, Bidirectional if there are two directions, and a Dense `head`.
            `dropout`, `readout_dropout` and `input_noise` are layers between them;
            `recurrent_noise` is left out.  `LeakyRNN`, peepholes, learned initial states
            and tanh in float64 are of ``rnn_fast.formats.keras_layers``: import this module before
            `keras.saving.load_model` reads a file with them.

        Raises
        ------
        ValueError
            The model's cell is your own.  The model is float64, which Keras has with TensorFlow,
            or with JAX after ``jax.config.update("jax_enable_x64", True)``.
        ImportError
            Keras or the backend that it is set to is not installed.
        """
        from ..formats.keras import to_model

        return to_model(self)

    def to_library(self, path: str | os.PathLike[str], name: str | None = None) -> None:
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
        name : str, optional
            An identifier in C, with which all names begin.  Default: the name of the file without
            its ending.

        Raises
        ------
        TypeError, ValueError
            `path` is no path, `name` no identifier, or the model is bidirectional.
        CompilerMissing
            Numba is not installed.
        RuntimeError
            There is no C compiler, or it failed.
        """
        from ..formats.library import write_library

        write_library(self, path, name)

    def to_onnx(
        self,
        path: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        output: Literal[
            "predict", "predict_proba", "decision_function", "predict_distribution"
        ] = "predict",
        lengths: bool = False,
        states: bool = False,
        opset: int = OPSET,
    ) -> onnx.ModelProto:
        """Return the model as a graph of ONNX, checked, and write it to a file.

        Any number of sequences and steps.  SimpleRNN, GRU and LSTM in float32 become ONNX's
        operators of these names.  What these operators do not compute becomes a Scan: LeakyRNN and
        Recurrent, and all models in float64, for which onnxruntime 1.32 has no such operators.

        Parameters
        ----------
        path : path or binary file, optional
            An existing file is replaced at once or, after an OSError, unchanged.
        output : {"predict", "predict_proba", "decision_function", "predict_distribution"}
            The method whose results the graph returns, with the same shape and dtype, as an output
            of this name; predict_distribution as two, `mean` and `scale`.
        lengths : bool
            Whether there is an input `lengths`, (N,) int64, each in 1 .. T.
        states : bool
            Whether initial states come in, as `h0`, and `c0` of a cell with two, and final states
            go out, as `hn` and `cn`: (num_layers * directions, N, H).  They replace a learned
            initial state.
        opset : int
            Version of ONNX's operators, at least 13.

        Returns
        -------
        onnx.ModelProto
            Inputs are `X`, (N, T, I), or (N, T) int64 with an embedding, and those that were asked
            for.  `rnn_fast.from_onnx` makes the same model from it.

        Raises
        ------
        ValueError
            The loss has no such output; a parameter is not finite; there are over 2 GiB of them.
        OSError
            The file cannot be written.
        ImportError
            onnx is not installed.
        """
        from ..formats.onnx import export

        record = {"model": self.description()}
        options = {"output": output, "lengths": lengths, "states": states, "opset": opset}
        return export(self._net, self._views, record, path, **options)

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
