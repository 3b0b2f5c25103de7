"""Views of parameters that refuse in-place arithmetic whose results are not finite."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np


class Parameter(np.ndarray):
    """A live, writeable view of a model's parameters.

    In-place arithmetic such as ``p *= x`` writes nothing if a result is not finite.  Assignment to
    elements is not checked.  Results of arithmetic, copies and pickles are plain arrays.

    Attributes
    ----------
    memory : ndarray or None
        Vector of all parameters, which this array is a part of; None: it is a copy.
    name : str
        Name of the parameter, for messages.
    """

    memory: np.ndarray | None = None
    name = ""

    @classmethod
    def of(cls, name: str, view: np.ndarray, memory: np.ndarray) -> Parameter:
        """Make one of a plain view of `memory`."""
        own = view.view(cls)
        own.name, own.memory = name, memory
        return own

    def __array_finalize__(self, source: Any) -> None:
        memory = getattr(source, "memory", None)
        if memory is not None and np.may_share_memory(self, memory):
            self.name, self.memory = source.name, memory

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute on plain arrays; write to a live `out` after the results were checked.

        Raises
        ------
        ValueError
            A result for a live view is not finite; nothing has been written.
        """
        is_at = method == "at"  # which changes its first input
        targets = inputs[:1] if is_at else options.get("out", ())
        stand_ins = [np.array(each) if _is_live(each) else _plain(each) for each in targets]
        inputs = (*stand_ins, *map(_plain, inputs[1:])) if is_at else tuple(map(_plain, inputs))
        if targets and not is_at:
            options["out"] = tuple(stand_ins)
        live = [pair for pair in zip(targets, stand_ins, strict=True) if _is_live(pair[0])]
        with np.errstate(all="ignore") if live else contextlib.nullcontext():
            result = getattr(ufunc, method)(*inputs, **options)
        for parameter, computed in live:
            if not np.isfinite(computed).all():
                raise ValueError(
                    f"{parameter.name} must stay finite in {computed.dtype}; "
                    f"{ufunc.__name__} would change that, and has changed nothing"
                )
        for parameter, computed in live:
            parameter[...] = computed
        if is_at or not targets:
            return result
        results = result if isinstance(result, tuple) else (result,)
        chosen = [r if out is None else out for r, out in zip(results, targets, strict=True)]
        return tuple(chosen) if len(chosen) > 1 else chosen[0]

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else array

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _plain(self).__reduce_ex__(protocol)

    def __deepcopy__(self, memo: Any) -> Any:
        return np.array(self)

    def __copy__(self) -> Any:
        return np.array(self)

    def copy(self, order: Any = "C") -> Any:
        """Return a plain copy."""
        return np.array(self, order=order)

    def __repr__(self) -> str:
        return repr(_plain(self))


def _is_live(value: Any) -> bool:
    return isinstance(value, Parameter) and value.memory is not None


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Parameter) else value
