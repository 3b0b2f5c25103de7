"""Arrays of real numbers from whatever the user passed.

Every array that a program reads by its address comes from `real`.  Its shape belongs to nobody
else, and its memory stays in place while the array lives.  Masks are refused wherever they hide.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from .mapped import Mapped, owner_of

#: hints by the kind of a dtype that holds no real numbers
HINTS = {
    "O": "; sequences of unequal length go in a list",
    "U": "; encode text as numbers, as numpy.unique does with return_inverse=True",
    "S": "; encode text as numbers, as numpy.unique does with return_inverse=True",
    "c": "; pass real and imaginary parts as two features",
    "M": "; pass times as numbers, such as seconds",
    "m": "; pass times as numbers, such as seconds",
}


def real(name: str, value: Any, slice_of_source: bool = False) -> np.ndarray:
    """Return `value` as an array of bool, int or float, of any shape and layout.

    Parameters
    ----------
    name : str
        Name of the argument, for messages.
    value : array-like
    slice_of_source : bool
        Whether `value` comes from a dataset on disk.  Such a masked array passes if nothing in it
        is masked: netCDF4 returns nothing else.

    Raises
    ------
    TypeError
        `value` is masked, or does not hold real numbers.
    ValueError
        `value` is a list of lists of unequal length.
    """
    refuse_masks(name, value, slice_of_source)
    try:
        array = np.asanyarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, equally long in each axis: {error}") from None
    except (MemoryError, OSError):
        raise
    except Exception as error:  # of a user's `__array__`, such as a tensor that needs gradients
        raise TypeError(f"{name} cannot be read as an array: {error}") from error
    refuse_masks(name, array, slice_of_source)  # of a user's `__array__`
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        if array.dtype.kind == "O":
            refuse_masks(name, array.tolist())
        raise TypeError(
            f"{name} must hold real numbers; got dtype {array.dtype}{_hint(value, array)}"
        )
    return held(array)


def _hint(value: Any, array: np.ndarray) -> str:
    """Return what to do about an array that holds no real numbers, for messages."""
    kind = array.dtype.kind
    if kind != "O" or (array.size and isinstance(array.flat[0], (list, np.ndarray))):
        return HINTS.get(kind, "")
    streams = array.ndim == 0 and isinstance(value, Iterable) and not isinstance(value, Mapping)
    return "; generators and loaders of batches go to fit_stream" if streams else ""


# ---------------------------------------------------------------------------------------- memory


class Held:
    """The memory of an array, which stays in place while this object lives.

    An array that NumPy makes of this object keeps it alive.  `pin` is a weak reference, because
    NumPy resizes no array that has one, not even with ``refcheck=False``; or it is a buffer that
    is in use, because bytearrays, mmaps and the like are not resized or closed then.
    """

    def __init__(self, array: np.ndarray, pin: Any):
        self.array, self.pin = array, pin
        self.__array_interface__ = array.__array_interface__


def held(array: np.ndarray) -> np.ndarray:
    """Return an array of the same numbers, of a shape and memory that nobody else can change.

    The numbers may still be written to.  Memory is copied if its owner could free it: tensors of
    PyTorch, and objects that only tell an address (0.2 s a GB).  An array on disk is read.
    """
    owner = owner_of(array)
    if isinstance(owner, Held):
        return array
    on_disk = Mapped.of(array)
    if on_disk is not None:
        return on_disk.whole()
    try:
        pin = weakref.ref(owner) if isinstance(owner, np.ndarray) else memoryview(owner)
    except TypeError:
        return np.array(array)
    return np.asarray(Held(array, pin))


# ----------------------------------------------------------------------------------------- masks


def refuse_masks(name: str, value: Any, slice_of_source: bool = False) -> None:
    """Raise TypeError for a masked array, or a list with something masked in it.

    In a list of numbers each takes 30 ns, as long as NumPy takes to convert it.
    """
    masks = sys.modules.get("numpy.ma")  # not imported: there are no masked arrays
    if masks is None or type(value) is np.ndarray or not _hides(value, masks.MaskedArray):
        return
    found, is_masked = "", False
    for place, masked in _all_of(value, masks.MaskedArray):
        mask, where = np.asarray(masks.getmaskarray(masked)), "".join(f"[{i}]" for i in place)
        is_masked = bool(mask.any())
        if is_masked:
            at = np.unravel_index(np.argmax(mask), mask.shape)
            index = f"[{', '.join(map(str, at))}]" if at else ""
            found = f"{name}{where}{index} is masked"
            break
        found = found or f"{name}{where} is a masked array"
    if is_masked or not slice_of_source:
        raise TypeError(f"{found}; fill the masked values or leave them out")


def _hides(value: Any, kind: type) -> bool:
    """Return whether a value is of some type, or a list in which something is."""
    level = [value]
    for _ in range(64):  # axes that NumPy may have
        types = set(map(type, level))
        if any(issubclass(each, kind) for each in types):
            return True
        if not any(issubclass(each, (list, tuple)) for each in types):
            return False
        level = list(chain.from_iterable(x for x in level if isinstance(x, (list, tuple))))
    return False


def _all_of(value: Any, kind: type, place: tuple[int, ...] = ()) -> Iterator[Any]:
    """Yield the place and the value of everything of some type in lists in lists."""
    if isinstance(value, kind):
        yield place, value
    elif isinstance(value, (list, tuple)) and len(place) < 64:
        for i, part in enumerate(value):
            yield from _all_of(part, kind, (*place, i))
