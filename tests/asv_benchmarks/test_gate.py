"""The gate's verdict, from result files as asv writes them; and, in a sweep, the gate itself."""

import hashlib
import importlib.util
import json
import math
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "asv_benchmarks"))

from gating import verdict as judge  # noqa: E402

COLUMNS = ["result", "params", "version", "started_at", "samples"]


def write(folder, benchmarks):
    """A side's folder: {name: {"unit", "params", "samples"}}, samples of each combination."""
    (folder / "machine").mkdir(parents=True)
    listing, results, errors = {"version": 2}, {}, {}
    for name, own in benchmarks.items():
        params = own.get("params", [])
        listing[name] = {"name": name, "params": params, "unit": own.get("unit", "tile-1")}
        if "samples" in own:
            values = [own_ and own_[0] for own_ in own["samples"]]
            results[name] = [values, params, "v", 0, own["samples"]]
        if "error" in own:
            errors[name] = own["error"]
    (folder / "benchmarks.json").write_text(json.dumps(listing))
    (folder / "errors.json").write_text(json.dumps(errors))
    (folder / "machine" / "machine.json").write_text(json.dumps({"version": 1}))
    data = {"result_columns": COLUMNS, "results": results, "version": 2}
    (folder / "machine" / "0123abcd-env.json").write_text(json.dumps(data))
    return judge.read(folder)


def one(*samples, unit="tile-1", **others):
    return {"m.track_x": {"samples": [list(samples)], "unit": unit, **others}}


@pytest.fixture
def compare(tmp_path):
    def run(base, head, **options):
        sides = write(tmp_path / "base", base), write(tmp_path / "head", head)
        verdict = judge.compare(*sides, **options)
        return verdict, judge.report(verdict, *sides)

    return run


def test_no_change(compare):
    verdict, report = compare(one(1.0, 1.1), one(1.02, 1.08))
    assert verdict.code == judge.PASS
    assert report == "1 benchmarks compared"


def test_regression_is_named_with_its_figures(compare):
    verdict, report = compare(one(1.0, 2.0), one(1.15, 2.3))
    assert verdict.code == judge.REGRESSION
    assert "1.150 x  m.track_x: 1.5 -> 1.725 tile-1, limit" in report


def test_rounds_are_compared_in_pairs(compare):
    """A machine that became twice as slow between rounds, for both sides."""
    verdict, _ = compare(one(1.0, 2.0, 2.0), one(1.0, 1.0, 2.0))
    assert verdict.ratios == {("m.track_x", 0): 1.0}


def test_better_is_no_regression(compare):
    verdict, report = compare(one(1.0), one(0.5))
    assert verdict.code == judge.PASS
    assert "better:\n   0.500 x  m.track_x" in report


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_gives_no_number_is_no_pass(compare, value):
    head = one(1.0, value, error="Traceback\n\nZeroDivisionError: no\n")
    verdict, report = compare(one(1.0, 1.0), head)
    assert verdict.code == judge.UNMEASURED
    assert "m.track_x: no result in head: ZeroDivisionError: no" in report


def test_a_benchmark_without_any_result(compare):
    verdict, _ = compare(one(1.0), {"m.track_x": {}})
    assert verdict.code == judge.UNMEASURED


def test_one_of_many_parameters(compare):
    params = [["1", "2"], ["'a'", "'b'"]]
    base = {"m.track_x": {"params": params, "samples": [[1.0]] * 4}}
    head = {"m.track_x": {"params": params, "samples": [[1.0], [1.0], None, [1.2]]}}
    verdict, report = compare(base, head)
    assert verdict.code == judge.UNMEASURED
    assert list(verdict.unmeasured) == ["m.track_x(2, 'a')"]
    assert "1.200 x  m.track_x(2, 'b')" in report


def test_gone(compare):
    base = {**one(1.0), "m.time_gone": {}}
    verdict, _ = compare(base, one(1.0))
    assert verdict.unmeasured == {"m.time_gone": "gone: base has it, head does not"}


def test_a_parameter_is_gone(compare):
    """Those behind it move up by one: what is missing is told by its name."""
    base = {"m.track_x": {"params": [["1", "2", "3"]], "samples": [[1.0]] * 3}}
    head = {"m.track_x": {"params": [["1", "3"]], "samples": [[1.0]] * 2}}
    assert list(compare(base, head)[0].unmeasured) == ["m.track_x(2)"]


def test_gone_on_purpose(compare):
    verdict, _ = compare({**one(1.0), "m.time_gone": {}}, one(1.0), removed="^m.time_gone$")
    assert verdict.code == judge.PASS


def test_gone_outside_of_what_is_looked_at(compare):
    verdict, _ = compare({**one(1.0), "n.time_gone": {}}, one(1.0), only="^m")
    assert verdict.code == judge.PASS


def test_new(compare):
    head = {**one(1.0), "m.track_new": {"samples": [[1.0]]}}
    verdict, report = compare(one(1.0), head)
    assert verdict.code == judge.PASS
    assert "m.track_new" in report


def test_nothing_at_all_is_no_pass(compare):
    assert compare({}, {})[0].code == judge.UNMEASURED


def test_all_new_is_no_pass(compare):
    assert compare({}, one(1.0))[0].code == judge.UNMEASURED


def test_unknown_unit(compare):
    verdict, _ = compare(one(1.0), one(1.0, unit="furlongs"))
    assert verdict.code == judge.UNMEASURED


def test_a_round_is_missing(compare):
    assert compare(one(1.0, 1.0), one(1.0))[0].code == judge.UNMEASURED


@pytest.mark.parametrize(("before", "after", "code"), [(0, 0, 0), (0, 1, 1), (3, 0, 0)])
def test_allocations(compare, before, after, code):
    unit = "allocations"
    assert compare(one(before, unit=unit), one(after, unit=unit))[0].code == code


def test_plain_times_are_not_judged(compare):
    times = {"m.time_x": {"unit": "seconds", "samples": [[1.0]]}}
    slow = {"m.time_x": {"unit": "seconds", "samples": [[9.0]]}}
    assert compare({**one(1.0), **times}, {**one(1.0), **slow})[0].code == judge.PASS


def second_run(tmp_path, head):
    sides = write(tmp_path / "1", one(1.0)), write(tmp_path / "2", one(1.2))
    verdict = judge.compare(*sides)
    again = write(tmp_path / "3", one(1.0, 1.0)), write(tmp_path / "4", head)
    judge.confirm(verdict, judge.compare(*again, chosen=verdict.suspects))
    return verdict, judge.report(verdict, *sides)


def test_a_second_run_confirms(tmp_path):
    verdict, report = second_run(tmp_path, one(1.3, 1.3))
    assert verdict.code == judge.REGRESSION
    assert "REGRESSION, confirmed:\n   1.300 x  m.track_x" in report


def test_a_second_run_clears(tmp_path):
    verdict, report = second_run(tmp_path, one(1.0, 1.01))
    assert verdict.code == judge.PASS
    assert "suspected once, not again:" in report
    assert "first 1.200" in report


def test_a_second_run_that_fails_is_no_pass(tmp_path):
    assert second_run(tmp_path, one(None, None))[0].code == judge.UNMEASURED


def test_files_of_asv_itself(tmp_path):
    results = pytest.importorskip("asv.results", reason="asv is an extra")
    from asv import runner, util

    benchmark = {"name": "m.track_x", "params": [["1", "2"]], "version": "v", "unit": "tile-1"}
    util.write_json(str(tmp_path / "benchmarks.json"), {"m.track_x": benchmark}, api_version=2)
    own = results.Results({"machine": "m"}, {}, "0" * 40, 0, "3", "env", {})
    samples = [[1.0, 2.0, 4.0], None]
    outcome = runner.BenchmarkResult([True, None], samples, [1, None], 0, "", None)
    own.add_result(benchmark, outcome, record_samples=True)
    own.save(str(tmp_path))
    side = judge.read(tmp_path)
    assert side.samples == {("m.track_x", 0): [1.0, 2.0, 4.0]}
    assert list(side.listed.values()) == ["m.track_x(1)", "m.track_x(2)"]


def test_peers_are_not_judged(compare):
    peers = {"peers.Lead.track_lead": {"unit": "of the peer's time", "samples": [[1.0]]}}
    assert compare({**one(1.0), **peers}, {**one(1.0), **peers})[0].code == judge.PASS


# ------------------------------------------------------------------- parts of the benchmarks


def module(name):
    """A module by its file: its package would bind this process to a core."""
    file = ROOT / "asv_benchmarks" / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def take_turns(folder, lengths):
    """Who took which turn, base and head in threads, until each has had its number."""
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("no sockets in folders here: the sides measure at once")
    turns, taken, lock = module("turns"), [], threading.Lock()

    def side(name):
        with turns.Turns(f"{name}:{folder}") as own:
            for _ in range(lengths[name]):
                own.take()
                with lock:
                    taken.append(name)

    threads = [threading.Thread(target=side, args=(name,)) for name in lengths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return taken


def test_two_sides_take_turns(tmp_path):
    assert take_turns(tmp_path, {"base": 50, "head": 50}) == ["head", "base"] * 50


@pytest.mark.parametrize("short", ["base", "head"])
def test_who_is_left_goes_on_alone(tmp_path, short):
    lengths = {"base": 50, "head": 50, short: 5}
    taken = take_turns(tmp_path, lengths)
    assert taken.count("base") == lengths["base"] and taken.count("head") == lengths["head"]
    assert taken[:10] == ["head", "base"] * 5


def test_without_the_other_it_is_always_ones_turn(tmp_path):
    assert take_turns(tmp_path / "no such folder", {"base": 3}) == ["base"] * 3


@pytest.fixture(scope="module")
def tile():
    return module("tile")


def test_tile_is_frozen(tile):
    """Whoever changes it gives it another name: all that was measured by it means another thing."""
    text = "".join(tile.source(*shape) for shape in ((16, 8, 2), (8, 4, 2), (4, 4, 2)))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert {tile.UNIT: digest[:16]} == {"tile-1": "10d68fe2a5cb58c7"}


def test_tile_is_a_product(tile):
    work = tile.make()
    work(1)
    a, b, out, _ = work.kept
    loops = 2**20 / (tile.K * out.size)
    expected = loops * a.reshape(tile.K, -1).T.astype(float) @ b.reshape(tile.K, -1).astype(float)
    np.testing.assert_allclose(out.reshape(expected.shape), expected, rtol=1e-4)


# --------------------------------------------------------------------- the gate, on real commits

SLOWER = "    sigmoid_of(o, n)\n"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of this repository, with its own environment."""
    pytest.importorskip("asv", reason="asv is an extra")
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    folder = tmp_path_factory.mktemp("gate") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def commit(clone, path, change):
    """A commit upon the clone's first state that changes one file; gives its hash."""

    def git(*arguments):
        names = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        command = ["git", "-C", str(clone), *names, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("checkout", "--quiet", "origin/HEAD")
    file = clone / path
    text = file.read_text()
    changed = change(text)
    assert changed != text
    file.write_text(changed)
    git("commit", "--quiet", "-am", "Change")
    return git("rev-parse", "HEAD")


def gate(clone, head, *options):
    command = [sys.executable, "asv_benchmarks/gate.py", "origin/HEAD", head, *options]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


ONLY = ["--only", r"kernels\.(Cells|Products|Functions)|counters"]


@pytest.mark.sweep
def test_gate_passes_what_changes_nothing(clone):
    head = commit(clone, "rnn_fast/cells/lstm.py", lambda text: text + "# nothing\n")
    code, output = gate(clone, head, *ONLY)
    assert code == judge.PASS, output


@pytest.mark.sweep
def test_gate_finds_a_slower_kernel(clone):
    head = commit(
        clone, "rnn_fast/cells/lstm.py", lambda text: text.replace(SLOWER, SLOWER + SLOWER + SLOWER)
    )
    code, output = gate(clone, head, *ONLY)
    assert code == judge.REGRESSION, output
    assert "kernels.Cells.track_time('lstm', 'forward')" in output.split("REGRESSION")[1]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.replace("return calibrated(self.work)", "1 / 0", 1), "Products.track_time"),
        (
            lambda t: t.replace(
                "return calibrated(self.work)", "import os; os.kill(os.getpid(), 11)", 1
            ),
            "Products.track_time",
        ),
        (lambda t: t.replace('"panels", ', ""), "Products.track_time('panels', 'float32')"),
        (lambda t: t + "\nimport not_there\n", "not_there"),
    ],
    ids=["fails", "crashes", "gone", "cannot be imported"],
)
def test_gate_does_not_pass_what_is_not_measured(clone, change, named):
    head = commit(clone, "asv_benchmarks/benchmarks/kernels.py", change)
    code, output = gate(clone, head, "--only", r"kernels\.Products")
    assert code == judge.UNMEASURED, output
    assert named in output.split("NOT MEASURED")[1]
