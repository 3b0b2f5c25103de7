"""Old programs are deleted; what is in use, and what is not ours, stays."""

from __future__ import annotations

import os
import time

import pytest

from rnn_fast.jit.clearing import IN_USE, MAX_AGE, STALE, clear
from rnn_fast.jit.folders import DAY, Folder

NOW = 2_000_000_000.0


@pytest.fixture
def folder(tmp_path):
    with Folder(str(tmp_path)) as folder:
        yield folder


def program(number):
    return f"{number:032x}.o"


def put(folder, name, age, size=100):
    folder.write(name, bytes(size))
    os.utime(os.path.join(folder.path, name), (NOW - age, NOW - age))


def names(folder):
    return {name for name, _ in folder.files()}


def test_programs_without_use(folder):
    put(folder, program(0), MAX_AGE + 1)
    put(folder, program(1), MAX_AGE - 1)
    clear(folder, now=NOW)
    assert names(folder) == {program(1)}


def test_the_least_recently_used_of_too_many(folder):
    for days in range(1, 11):
        put(folder, program(days), days * DAY)
    clear(folder, max_total=500, now=NOW)
    assert names(folder) == {program(days) for days in range(1, 6)}


def test_what_was_used_lately_stays_whatever_its_size(folder):
    put(folder, program(0), -5.0, 1000)  # a clock may go wrong
    put(folder, program(1), IN_USE - 1, 1000)
    put(folder, program(2), IN_USE + 1, 1)
    clear(folder, max_total=500, now=NOW)
    assert names(folder) == {program(0), program(1)}


def test_locks_and_half_written_files(folder):
    kept = {program(0).replace(".o", ".lock"), f"{program(0)}.{'a' * 16}.tmp"}
    stale = {program(1).replace(".o", ".lock"), f"{program(1)}.{'a' * 16}.tmp"}
    for name in kept:
        put(folder, name, STALE - 1)
    for name in stale:
        put(folder, name, STALE + 1)
    clear(folder, now=NOW)
    assert names(folder) == kept


def test_files_of_others_stay(folder, tmp_path):
    foreign = {"thesis.o", "a.lock", "b.tmp", f"{'g' * 32}.o", f"{'a' * 31}.o", f"x{program(0)}"}
    for name in foreign:
        put(folder, name, 10 * MAX_AGE)
    (tmp_path / program(7)).mkdir()  # cannot be deleted as a file
    os.utime(tmp_path / program(7), (0, 0))
    clear(folder, max_total=0, now=NOW)
    assert names(folder) == foreign | {program(7)}


def test_a_read_counts_as_use_once_a_day(folder, tmp_path):
    for age, is_marked in ((DAY / 2, False), (2 * DAY, True)):
        then = time.time() - age
        folder.write(program(0), b"code")
        os.utime(tmp_path / program(0), (then, then))
        folder.read(program(0))
        age_now = time.time() - (tmp_path / program(0)).stat().st_mtime
        assert (age_now < 60) == is_marked


def test_a_reader_keeps_what_it_has_opened(folder):
    put(folder, program(0), 2 * MAX_AGE)
    descriptor = folder.open(program(0), os.O_RDONLY)
    clear(folder, now=NOW)
    assert names(folder) == set()
    assert os.read(descriptor, 200) == bytes(100)
    os.close(descriptor)
