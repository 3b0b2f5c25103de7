"""Sequences of the command line: from an .npz file, or generated for the tutorial's experiment."""

from __future__ import annotations

import zipfile
import zlib
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..losses import LOSSES
from ..tasks import SignOfSum
from .options import InputError

SAMPLES, LENGTH = 1000, 10  #: of generated sequences; as many again are held out
TEST_FRACTION = 0.2


class Data(NamedTuple):
    """Sequences, and what they require of a network."""

    X: np.ndarray  # (N, T, I), or (N, T) indices
    y: np.ndarray  # (N,) or (N, O); for an output after every step (N, T) or (N, T, O)
    lengths: np.ndarray | None  # (N,)
    test: np.ndarray  # (N,) bool: sequences that are held out
    loss: str
    outputs: int

    def part(self, which: np.ndarray) -> dict[str, Any]:
        """Return the sequences `which`, as arguments of a model."""
        lengths = None if self.lengths is None else self.lengths[which]
        return {"X": self.X[which], "y": self.y[which], "lengths": lengths}


def read_arrays(path: Path, *names: str, optional: str) -> list[Any]:
    """Return the arrays `names` of an .npz file, then the array `optional` or None.

    Raises
    ------
    InputError
        The file cannot be read, is damaged, lacks an array, or holds Python objects.
    """
    try:
        with open(path, "rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise InputError(f"{path}: not an .npz file, as numpy.savez writes it")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                missing = [name for name in names if name not in file]
                if missing:
                    raise InputError(
                        f"{path}: no array {missing[0]}; it holds {', '.join(file) or 'nothing'}"
                    )
                arrays = [np.asarray(file[name]) for name in names]
                return [*arrays, np.asarray(file[optional]) if optional in file else None]
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise InputError(f"{path}: holds Python objects, which are not read") from None
        raise InputError(f"{path}: damaged ({error})") from None


def infer(y: np.ndarray, loss: str | None) -> tuple[str, int]:
    """Return the loss for targets `y`, (n,) or (n, O), and the outputs it needs.

    Targets 0 and 1 call for bce, other integers for cross_entropy, real numbers for mse; NaN for
    none.

    Raises
    ------
    InputError
        `y` are no class indices, but the loss takes them.
    """
    columns = int(np.prod(y.shape[1:]))
    whole = y.dtype.kind in "biu"
    if loss is None:
        numbers = y[~np.isnan(y)] if y.dtype.kind == "f" else y
        binary = y.dtype.kind in "biuf" and bool(np.isin(numbers, (0, 1)).all())
        loss = "bce" if binary else "cross_entropy" if whole and columns == 1 else "mse"
        if LOSSES[loss].takes_classes and not 0 <= y.min() <= y.max() < len(y):
            raise InputError(
                f"y: integers from {y.min()} to {y.max()}; classes count from 0, "
                "and for values there is --loss mse"
            )
    elif LOSSES[loss].takes_classes and not (whole and y.size and y.min() >= 0):
        raise InputError(f"y: {loss} needs integer classes, counted from 0")
    return loss, int(y.max()) + 1 if LOSSES[loss].takes_classes else columns


def generate_data(args: Namespace) -> Data:
    """Generate the tutorial's experiment: standard-normal steps, labelled by the sign of their sum.

    Raises
    ------
    InputError
        An option is for data from a file.
    """
    if args.test_fraction is not None:
        raise InputError("--test-fraction goes with --data; generated tests are fresh sequences")
    if args.missing:
        raise InputError("--missing goes with --data; of generated targets none is missing")
    if args.embedding is not None:
        raise InputError("--embedding goes with --data; generated sequences hold no indices")
    N = args.samples or SAMPLES
    X, y = SignOfSum(args.length or LENGTH).draw(N + SAMPLES, args.seed)
    if args.every_step:
        y = (X.sum(2).cumsum(1) > 0).astype(np.int64)
    return Data(X, y, None, np.arange(len(X)) >= N, *infer(y.ravel(), args.loss))


def read_data(args: Namespace) -> Data:
    """Read the user's arrays, and split them at random into training and test data.

    Raises
    ------
    InputError
        The arrays do not fit each other or the options.
    """
    if args.samples or args.length:
        raise InputError("--samples and --length are for generated sequences, not for --data")
    X, y, lengths = read_arrays(args.data, "X", "y", optional="lengths")
    check_shapes(args, X, y, lengths)
    share = TEST_FRACTION if args.test_fraction is None else args.test_fraction
    n_test = max(1, round(share * len(X))) if share else 0
    if n_test >= len(X):
        raise InputError(f"{args.data}: of {len(X)} sequences none is left to learn from")
    test = np.random.default_rng(args.seed).permutation(len(X)) < n_test
    if args.missing:
        check_targets(args, X, y, lengths, test)
    return Data(X, y, lengths, test, *infer(counted_targets(args, X, y, lengths), args.loss))


def check_shapes(args: Namespace, X: np.ndarray, y: np.ndarray, lengths: Any) -> None:
    """Raise InputError for arrays that do not fit each other or the options."""
    if args.embedding is None and X.ndim != 3:
        hint = "; one feature per step is X[:, :, None]" if X.ndim == 2 else ""
        raise InputError(f"{args.data}: X has shape {X.shape}, not (N, T, I){hint}")
    if args.embedding is not None and (X.ndim != 2 or X.dtype.kind not in "iu"):
        raise InputError(
            f"{args.data}: X {X.shape} of {X.dtype} is not what --embedding needs: integers (N, T)"
        )
    if y.ndim == 0 or len(X) != len(y):
        raise InputError(f"{args.data}: X {X.shape} and y {y.shape} are not of the same length")
    if lengths is not None and lengths.shape != (len(X),):
        raise InputError(f"{args.data}: lengths {lengths.shape} and X {X.shape} do not fit")


def check_targets(
    args: Namespace, X: np.ndarray, y: np.ndarray, lengths: Any, test: np.ndarray
) -> None:
    """Raise InputError if all targets are missing among those to learn from, or held out."""
    for name, which in (("to learn from", ~test), ("held out", test)):
        some = None if lengths is None else lengths[which]
        targets = counted_targets(args, X[which], y[which], some)
        if targets.size and targets.dtype.kind == "f" and np.isnan(targets).all():
            raise InputError(f"{args.data}: all targets of the sequences {name} are missing")


def counted_targets(args: Namespace, X: np.ndarray, y: np.ndarray, lengths: Any) -> np.ndarray:
    """Return the targets outside of padding, (n,) or (n, O)."""
    if not args.every_step:
        return y
    if y.shape[:2] != X.shape[:2]:
        raise InputError(
            f"{args.data}: y has shape {y.shape}; --every-step needs {X.shape[:2]}, perhaps with O"
        )
    if lengths is None:
        return y.reshape(-1, *y.shape[2:])
    return y[np.arange(X.shape[1]) < lengths[:, None]]
