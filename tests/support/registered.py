"""Cells, losses and optimizers that only tests name, registered for as long as they are tested."""

import pytest


def registered(registry, *items):
    """Return a fixture that keeps `items` in their registry for the tests of one module.

    Elsewhere random cases would draw them.
    """
    for item in items:
        registry.pop(item.name, None)  # their own modules registered them

    @pytest.fixture(autouse=True, scope="module")
    def registration():
        for item in items:
            registry.add(item)
        yield
        for item in items:
            del registry[item.name]

    return registration
