"""Settings for all tests."""

import sys
from pathlib import Path

import pytest

from rnn_fast.cells.declared import DECLARED
from rnn_fast.cells.specs import CELLS
from rnn_fast.tuning import TUNING, Tuning, tuned

for folder in ("support", "cells", "losses", "optimizers"):  # shared helpers; what only tests name
    sys.path.insert(0, str(Path(__file__).parent / folder))

#: files that take longest, which begin first: a worker that begins one last is alone at the end
LONG = (
    "engine/test_operations.py",
    "fuzz/test_fuzz.py",
    "models/test_recurrent.py",
    "training/test_checkpoint.py",
    "test_docs.py",
    "cells/test_own_cells.py",
    "training/test_partial_fit.py",
    "jit/test_program.py",
    "losses/test_own_loss.py",
    "bench/test_bench.py",
    "cli/test_main.py",
    "optimizers/test_algorithms.py",
    "studies/test_study.py",
    "saving/test_record.py",
)


def pytest_collection_modifyitems(items):
    """Begin with the files of `LONG`; the others keep their order."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(autouse=True, scope="session")
def few_tiles():
    """Use the first register tile alone, for each further one costs a compilation.

    Of the units driver's tiles those of one row and of four.  Tests marked `all_tiles` have all.
    """
    few = {n: {rows: vecs[rows] for rows in (1, 4)} for n, vecs in TUNING.unit_vecs.items()}
    with tuned(tiles={n: tiles[:1] for n, tiles in TUNING.tiles.items()}, unit_vecs=few):
        yield


@pytest.fixture(autouse=True)
def chosen_tiles(request, few_tiles):
    if request.node.get_closest_marker("all_tiles") is None:
        yield
        return
    with tuned(tiles=Tuning().tiles, unit_vecs=Tuning().unit_vecs):
        yield


@pytest.fixture
def cells_as_before():
    """Restore the registered and the declared cells after a test."""
    registries = CELLS, DECLARED
    before = [dict(registry) for registry in registries]
    yield
    for registry, kept in zip(registries, before, strict=True):
        registry.clear()
        registry.update(kept)


@pytest.fixture
def one_tile():
    """Name `few_tiles`, which all tests have."""
