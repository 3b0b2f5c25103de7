"""Windows of series over time: inputs, and the targets that come after them."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..validation import flag, whole
from .tables import Table, breaks, columns, rows_at, table_of
from .targets import Missing, missing_word


class Windows:
    """Windows (N, length, C) that share the memory of the series they are cut from.

    `windows` makes it where windows do not follow each other evenly.  It has a shape, a dtype and
    indices, and copies what is asked for: ``X[:100]``, ``X[places]``, ``np.asarray(X)``.  `fit`,
    `predict` and `evaluate` read it in blocks.

    Parameters
    ----------
    rows : (R, C) array
        All series, one after the other.
    starts : (N,) int array
        First row of each window.
    length : int
        Rows of a window.
    """

    def __init__(self, rows: np.ndarray, starts: np.ndarray, length: int) -> None:
        self._rows, self._starts, self._steps = rows, starts, np.arange(length)
        self.shape: tuple[int, int, int] = (len(starts), length, rows.shape[1])
        self.dtype: np.dtype = rows.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return windows by a slice, places or a mask, (n, length, C); or one, (length, C)."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        found = self._rows[self._starts[first][..., None] + self._steps]
        return found[(slice(None),) * (found.ndim - 2) + tuple(rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("Windows is no array without a copy")
        return self[:] if dtype is None else self[:].astype(dtype)

    def __repr__(self) -> str:
        return f"<Windows {self.shape} of {self.dtype}>"


def windows(
    series: Any,
    length: int,
    horizon: int = 1,
    *,
    stride: int = 1,
    ahead: int = 1,
    inputs: Any = None,
    targets: Any = None,
    split: Any = None,
    drop_missing: bool = False,
    missing: Missing | None = None,
) -> Any:
    """Cut series into windows of inputs, and the targets that come after each.

    Window i begins at row ``i * stride``: its inputs are `length` rows, and its targets `horizon`
    rows, the first of them `ahead` rows after the last input.

    Parameters
    ----------
    series : array-like, DataFrame, DataArray or Dataset, or a list of them
        Rows over time, (T,) or (T, C).  A list is of several series, and no window is of two.
    length, horizon, stride : int
        In rows, each at least 1.
    ahead : int
        Rows from the last input to the first target.  0: the target is of the last input's time.
    inputs, targets : column, or list of columns, optional
        Names, or numbers of an array's columns.  Default: all.
    split : tuple of float or of dates, optional
        Where a new part begins, in fractions of the rows or in the index: ``(0.7, 0.85)`` and
        ``("2014-01-01", "2016-01-01")`` make three parts.  No row is in windows of two parts.
    drop_missing : bool
        Whether to leave out windows with missing numbers (NaN) among inputs or targets, and windows
        across a gap: a step of the index that is longer than 1.5 median steps.
    missing : "nan", optional
        Whether NaN among the targets is kept, for the option `missing` of `fit`.

    Returns
    -------
    X, y
        X is (N, length, C), y (N, horizon, C), or (N, horizon) if `targets` is one column or the
        series has no columns.  Views of the series, not to be written to; columns of a list, or of
        a table, are copied once.  For several series, or with `drop_missing`, X is `Windows`
        and y an array.  With `split`, a list of such pairs.

    Raises
    ------
    TypeError, ValueError
        An argument is wrong, numbers are missing or rows are, a part has no window.

    Notes
    -----
    `fit` reads `Windows` in blocks, but copies a view into an array of the model's dtype: N times
    `length` rows.  Of a large series it reads parts of a view too if it is told `shuffle_block`.
    """
    form = Form(
        length=whole("length", length),
        horizon=whole("horizon", horizon),
        stride=whole("stride", stride),
        ahead=whole("ahead", ahead, least=0),
        drops=flag("drop_missing", drop_missing),
        keeps=missing_word("missing", missing) is not None,
    )
    several = isinstance(series, (list, tuple)) and any(map(_is_series, series[:1]))
    cut, names = [], None
    for i, each in enumerate(series if several else [series]):
        table = table_of(f"series[{i}]" if several else "series", each)
        names = table.names if i == 0 else names
        if table.names != names and (inputs is None or targets is None):
            raise ValueError(f"{table.name} must have the columns of series[0]; name the columns")
        x, y = columns(table, "inputs", inputs), columns(table, "targets", targets)
        cut.append(_parts(table, x[:, None] if x.ndim == 1 else x, y, form, split))
    pairs = [_pair(parts, form, several) for parts in zip(*cut, strict=True)]
    for k, pair in enumerate(pairs):
        if pair is None:
            raise ValueError(
                f"part {k} of the series has no window; one takes {form.span} rows"
                f"{' without missing numbers' if form.drops else ''}"
            )
    return pairs[0] if split is None else pairs


def _is_series(thing: Any) -> bool:
    return bool(getattr(thing, "shape", ())) or hasattr(thing, "data_vars")


class Form(NamedTuple):
    """Sizes of windows, in rows."""

    length: int
    horizon: int
    stride: int
    ahead: int
    drops: bool  #: whether windows with missing numbers are left out
    keeps: bool  #: whether missing numbers among the targets are kept

    @property
    def lag(self) -> int:
        """Rows from the first input to the first target."""
        return self.length - 1 + self.ahead

    @property
    def span(self) -> int:
        """Rows from the first input to the last target."""
        return self.lag + self.horizon


class Part(NamedTuple):
    """Rows of a series, and the windows in them."""

    x: np.ndarray  #: (T, C)
    y: np.ndarray  #: (T, O) or (T,)
    starts: np.ndarray  #: first rows of windows


def _parts(table: Table, x: np.ndarray, y: np.ndarray, form: Form, split: Any) -> list[Part]:
    """Return the parts of a series.

    Raises
    ------
    ValueError
        Numbers are missing in a window, or rows, and `form` does not drop it.
    """
    n = len(x)
    bounds = [0, *([] if split is None else rows_at(table, n, split)), n]
    missing = [_missing(x), _missing(y)]
    after_gap = np.zeros(n, bool)
    gaps = breaks(table)
    if gaps is not None:
        after_gap[gaps] = True
    parts = []
    for a, b in itertools.pairwise(bounds):
        starts = np.arange(a, b - form.span + 1, form.stride)
        wrong = _any(missing[0], starts, form.length)
        if not form.keeps:
            wrong |= _any(missing[1], starts + form.lag, form.horizon)
        torn = _any(after_gap, starts + 1, form.span - 1)
        if not form.drops and (wrong | torn).any():
            at = int(starts[wrong | torn][0])
            raise ValueError(
                f"{table.name} has missing {'numbers' if wrong.any() else 'rows'}, first in the "
                f"window from row {at}; drop_missing=True leaves such windows out"
            )
        parts.append(Part(x, y, starts[~(wrong | torn)]))
    return parts


def _missing(numbers: np.ndarray) -> np.ndarray:
    """Return the rows in which a number is missing, (T,) bool."""
    if numbers.dtype.kind != "f":
        return np.zeros(len(numbers), bool)
    wrong = np.isnan(numbers)
    return wrong.any(axis=1) if wrong.ndim > 1 else wrong


def _any(marks: np.ndarray, starts: np.ndarray, n: int) -> np.ndarray:
    """Return whether any of n marks from each start on is True."""
    counts = np.concatenate([[0], np.cumsum(marks)])
    return counts[starts + n] > counts[starts]


def _pair(parts: tuple[Part, ...], form: Form, several: bool) -> tuple[Any, np.ndarray] | None:
    """Return X and y of a part of all series; None if there is no window."""
    filled = [part for part in parts if len(part.starts)]
    if not filled:
        return None
    if not (several or form.drops):
        (x, y, starts) = filled[0]
        places = slice(starts[0], starts[-1] + 1, form.stride)
        after = slice(starts[0] + form.lag, starts[-1] + form.lag + 1, form.stride)
        return _views(x, form.length)[places], _views(y, form.horizon)[after]
    ends = np.cumsum([len(part.x) for part in parts])
    moved = [p.starts + end - len(p.x) for p, end in zip(parts, ends, strict=True)]
    rows = parts[0].x if len(parts) == 1 else np.concatenate([part.x for part in parts])
    targets = [_views(part.y, form.horizon)[part.starts + form.lag] for part in filled]
    return Windows(rows, np.concatenate(moved), form.length), np.concatenate(targets)


def _views(rows: np.ndarray, n: int) -> np.ndarray:
    """Return windows of n rows, (.., n) of (T,) or (.., n, C) of (T, C)."""
    found = sliding_window_view(rows, n, axis=0)
    return found if rows.ndim == 1 else found.swapaxes(1, 2)
