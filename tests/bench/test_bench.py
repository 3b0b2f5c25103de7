"""`rnn-fast bench`: what it measures is right, and its report says what was measured."""

from __future__ import annotations

import importlib
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

import rnn_fast
from rnn_fast.bench import report, run, runs, stream, tables, timing
from rnn_fast.bench.checks import Truth, WrongResultError
from rnn_fast.bench.contenders import field, theirs
from rnn_fast.bench.peers import PEERS, TAKE_PART, numpy_rnn
from rnn_fast.bench.problems import Problem
from rnn_fast.bench.results import (
    GEMM,
    OURS,
    PACKED,
    RAGGED_OURS,
    SCRIPT,
    TOGETHER,
    Measured,
    Results,
    Settings,
    Timing,
    ratio,
)
from rnn_fast.bench.rows import ADDING, FIELD, LADDER, QUICK, RAGGED, STREAM, SUBJECTS, Row, select
from rnn_fast.bench.worker import import_peers
from rnn_fast.cli.main import main

ROWS = FIELD | LADDER
SMALL = {
    "rnn": Row(5, 4, 3, 6),
    "gru": Row(5, 4, 3, 6, cell="gru", layers=2),
    "lstm every step": Row(5, 4, 3, 6, cell="lstm", sequences=True),
    "float64": Row(5, 4, 3, 6, dtype="float64"),
    "single samples": Row(1, 4, 1, 6),
    "single samples, lstm": Row(1, 4, 1, 6, cell="lstm"),
}
#: of a stream
STEPPED = {
    "lstm, one step": Row(1, 1, 3, 6, cell="lstm", sequences=True),
    "lstm": Row(1, 16, 3, 6, cell="lstm", sequences=True),
    "gru": Row(1, 16, 3, 6, cell="gru", sequences=True),
    "rnn": Row(1, 16, 3, 6, sequences=True),
}
PACKAGES = {
    "PyTorch": ["torch"],
    "JAX": ["jax"],
    "Keras": ["jax", "keras"],
    "onnxruntime": ["onnx", "onnxruntime"],
}


def silent(text: str) -> None:
    """Say nothing."""


# ----------------------------------------------------------------------------------------- rows


def test_rows_are_chosen_by_patterns():
    assert select("*", ROWS) == list(ROWS)
    assert select("h64b7, tutorial", ROWS) == ["tutorial", "h64b7"]
    assert select("gru-*", ROWS) == [name for name in ROWS if name.startswith("gru-")]
    assert set(SUBJECTS) == set(QUICK)
    assert set(SUBJECTS) == set(TAKE_PART)
    for subject, patterns in QUICK.items():
        assert select(patterns, SUBJECTS[subject])


@pytest.mark.parametrize("patterns", ["tutorials", "tutorial,", "TUTORIAL", ""])
def test_an_unknown_row_is_named(patterns):
    with pytest.raises(ValueError, match=r"no row matches '.*'; there are tutorial, cognitive"):
        select(patterns, ROWS)


def test_operations_are_counted():
    assert Row(7, 5, 3, 4).flop == 6 * 7 * 5 * 4 * (3 + 4)
    two = Row(7, 5, 3, 4, cell="lstm", layers=2)
    assert two.flop == 6 * 7 * 5 * 4 * 4 * ((3 + 4) + (4 + 4))
    assert str(two) == "LSTM x2 B7 T5 I3 H4"
    assert str(replace(two, sequences=True, dtype="float64")).endswith(" every step float64")


def test_an_epoch_has_updates_enough_and_not_too_many():
    updates = {B: Row(B, 10, 1, 32).updates() for B in (1, 4, 8, 100, 1000)}
    assert updates == {1: 1000, 4: 250, 8: 128, 100: 128, 1000: 16}
    assert Row(1, 50, 8, 256, cell="lstm").updates() == 13


# ----------------------------------------------------------------- everyone computes the same


def imported(family):
    """The module of a peer; without its packages the test is skipped."""
    for package in PACKAGES.get(family, []):
        if find_spec(package) is None:  # to import Keras here would choose what it runs on
            pytest.skip(f"without {package}")
    return importlib.import_module(f"rnn_fast.bench.peers.{PEERS[family]}")


@pytest.mark.parametrize(
    ("family", "name"),
    [(family, name) for family in ("NumPy", "PyTorch", "JAX") for name in SMALL]
    + [("Keras", "gru")],  # the one with an order of gates and biases of its own
)
def test_a_peer_is_right(family, name):
    row, peer = SMALL[name], imported(family)
    problem = Problem.draw(row, quick=True)
    truth = Truth(problem)
    truth.check_gradients(family, partial(peer.loss_and_gradients, row, problem.params))
    ways = peer.ways(problem, quick=True)
    assert ways
    for name, run_epoch in ways.items():
        truth.check_parameters(name, run_epoch())


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("family", [OURS, *TAKE_PART["stream"]])
def test_a_stream_is_right(family, name):
    series = stream.Series.draw(STEPPED[name], 48)
    ways = {OURS: stream.ours(series)} if family == OURS else None
    ways = ways or imported(family).streams(series.row, series.params, quick=True)
    for name, call in ways.items():
        series.check(name, series.follow(call)())


def test_a_stream_that_forgets_is_refused_alone():
    series = stream.Series.draw(STEPPED["gru"], 48)

    def streams(row, params, quick):
        def forgets(x):
            return stream.ours(series)(x)

        return {"forgets": forgets, "right": stream.ours(series)}

    def broken(row, params, quick):
        raise RuntimeError("no such operator")

    peers = {"JAX": SimpleNamespace(streams=streams), "NumPy": SimpleNamespace(streams=broken)}
    found, notes = stream.field(series, peers, True, silent)
    assert [(c.name, c.updates) for c in found] == [("stream", 48), ("right", 48)]
    assert notes[0].startswith("refused forgets: outputs are off by")
    assert notes[1:] == ["left out NumPy: RuntimeError: no such operator"]


@pytest.mark.parametrize("gate", range(4))
def test_a_wrong_gradient_is_refused(gate):
    row = SMALL["lstm every step"]
    problem = Problem.draw(row, quick=True)

    def spoiled(x, y):
        loss, gradients = numpy_rnn.loss_and_gradients(row, problem.params, x, y)
        gradients["Whh"][gate * row.H : (gate + 1) * row.H] *= 1.01
        return loss, gradients

    with pytest.raises(WrongResultError, match="off by"):
        Truth(problem).check_gradients("spoiled", spoiled)


def test_a_wrong_loss_is_refused():
    row = SMALL["rnn"]
    problem = Problem.draw(row, quick=True)

    def spoiled(x, y):
        loss, gradients = numpy_rnn.loss_and_gradients(row, problem.params, x, y)
        return 1.001 * loss, gradients

    with pytest.raises(WrongResultError, match="off by"):
        Truth(problem).check_gradients("spoiled", spoiled)


def test_one_way_of_a_peer_is_left_out_alone():
    problem = Problem.draw(SMALL["rnn"], quick=True)
    [right] = numpy_rnn.ways(problem, quick=True).values()
    [other] = numpy_rnn.ways(problem, quick=True).values()

    def fails():
        raise RuntimeError("no compiler\nis there")

    def ways(problem, quick):
        wrong = {"skips one": lambda: other() | {"bh": problem.params["bh"]}}
        return wrong | {"compiled": fails, "right": right}

    peer = SimpleNamespace(loss_and_gradients=numpy_rnn.loss_and_gradients, ways=ways)
    found, notes = theirs("Peer", peer, Truth(problem), True, silent)
    assert [contender.name for contender in found] == ["right"]
    assert re.match("refused skips one: updates are off by 1", notes[0])
    assert notes[1:] == ["left out compiled: RuntimeError: no compiler"]


def test_who_is_refused_is_named_and_the_others_go_on():
    def wrong(row, params, x, y):
        loss, gradients = numpy_rnn.loss_and_gradients(row, params, x, y)
        return loss, gradients | {"by": -gradients["by"]}

    def broken(problem, quick):
        raise RuntimeError("no such layer")

    peers = {
        "JAX": SimpleNamespace(loss_and_gradients=wrong, ways=numpy_rnn.ways),
        "Keras": SimpleNamespace(ways=broken),
        "PyTorch": SimpleNamespace(ways=lambda problem, quick: {}),
        "NumPy": numpy_rnn,
    }
    found, refused = field(Problem.draw(SMALL["rnn"], quick=True), peers, True, silent)
    assert [contender.family for contender in found] == [OURS, GEMM, "NumPy"]
    assert "refused JAX: loss or gradients are off" in refused[0]
    assert refused[1:] == ["left out Keras: RuntimeError: no such layer"]


# --------------------------------------------------------------------------------------- timing


def test_everyone_takes_a_turn_in_every_round():
    turns: list[str] = []
    found = [
        timing.Contender(name, name, partial(turns.append, name), 2, 1, calls=calls)
        for name, calls in (("one", 1), ("three", 3))
    ]
    timing.interleave(found, rounds=2)
    once = ["one"] + ["three"] * 4  # of which the first is not timed
    assert turns == once * 2
    assert [len(contender.seconds) for contender in found] == [2, 2]


def test_the_fastest_is_kept_and_made_long_enough():
    def spin(seconds):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    found = [timing.Contender(str(s), "", partial(spin, s), 1, 1) for s in (0.05, 0.002)]
    [best] = timing.fastest(found, 1)
    assert best.name == "0.002" and best.seconds == []
    assert best.calls > 1


# --------------------------------------------------------------------------------------- report


def measured(row: Row, seconds: dict[str, list[float]], **more) -> Measured:
    timings = [
        Timing(f"{family} form", family, 2 * 1024**3 if family == GEMM else row.flop, times)
        for family, times in seconds.items()
    ]
    return Measured(row, timings, **more)


MACHINE = {
    "processor": "A Processor",
    "vectors": "AVX2, 256-bit vectors",
    "cores": 8,
    "system": "Linux x86_64",
    "versions": {"Python": "3.12", "JAX": "1.0"},
}


@pytest.fixture
def results():
    """Two rows; in the first of them the machine was slow in the second round."""
    rows = {
        "tutorial": measured(
            FIELD["tutorial"],
            {
                OURS: [1e-6, 3e-6, 1e-6],
                SCRIPT: [4e-6, 12e-6, 4e-6],
                GEMM: [0.01, 0.03, 0.01],
                "JAX": [2.5e-6, 7.5e-6, 2.5e-6],
                "NumPy": [80e-6, 240e-6, 80e-6],
            },
        ),
        "control": measured(
            FIELD["control"],
            {OURS: [2e-3] * 3, GEMM: [0.01] * 3, "JAX": [9e-3] * 3, "PyTorch": [8e-3] * 3},
            core=0.5,
            notes=["refused NumPy: updates are off by 1.0e+00"],
        ),
    }
    settings = Settings("grid", [*rows, "neuro"], 3)
    return Results(settings, MACHINE, rows, ["Keras (not installed)"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.284e-6, "1.28 us"),
        (136e-6, "136 us"),
        (0.9996e-3, "1 ms"),
        (0.208, "208 ms"),
        (2.5, "2.5 s"),
    ],
)
def test_durations(seconds, text):
    assert tables.duration(seconds) == text


@pytest.mark.parametrize(("ratio", "text"), [(1.26, "1.3"), (46.2, "46"), (123.4, "123")])
def test_factors(ratio, text):
    assert tables.factor(ratio) == text


def test_ratios_are_of_the_same_round():
    slow, fast = Timing("", "", 1, [3, 30, 8]), Timing("", "", 1, [1, 10, 4])
    assert ratio(slow, fast) == 3


def test_the_table(results):
    text = report.text(results)
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert lines["row"].split()[:4] == ["row", "network", "and", "batch"]
    flop = FIELD["tutorial"].flop
    assert re.split("  +", lines["tutorial"]) == [
        *("tutorial", "RNN B1 T10 I1 H32", "1 us", f"{flop / 1e3:.3g}"),
        f"{flop / 1e-6 / (2 * 1024**3 / 0.01):.0%}",
        *("2.5 us", "-", "80 us", "2.5", "JAX form"),
    ]
    assert lines["control"].endswith("4  PyTorch form")
    assert "AVX2, 256-bit vectors" in text and "8 cores" in text and "JAX 1.0" in text
    assert "2.5 to 4 times the best peer, 3.2 in the geometric mean" in text
    assert "20 times as long, and 80 times as long as `fit`" in text
    assert "50% of its core" in text
    assert "control: refused NumPy: updates are off by" in text
    assert "left out: Keras (not installed)" in text
    assert "not measured: neuro" in text


def test_markdown_has_the_same_table(results):
    lines = report.markdown(results).splitlines()
    table, notes = tables.steps(results)
    assert [[c.strip() for c in line.strip("|").split("|")] for line in lines[2:4]] == table[1:]
    assert lines[1] == "|" + "---|" * len(table[0])
    assert any(notes[0] in line for line in lines)


def test_without_peers_there_are_no_columns_for_them(results):
    for row in results.rows.values():
        row.timings = [t for t in row.timings if t.family in (OURS, GEMM, SCRIPT)]
    assert tables.steps(results)[0][0][2:] == ["rnn_fast", "GFLOP/s", "of gemm"]
    assert "best peer" not in report.text(results)


def test_the_other_tables():
    lstm = RAGGED["lstm-b64"]
    times = {OURS: [4e-3], RAGGED_OURS: [2e-3], "PyTorch": [8e-3], PACKED: [16e-3]}
    rows = {"lstm-b64": measured(lstm, times), "lstm-b32": measured(lstm, {OURS: [4e-3]})}
    table, _ = tables.ragged(Results(Settings("ragged", list(rows), 1), MACHINE, rows))
    assert table[1][2:] == ["4 ms", "2 ms", "0.50", "8 ms", "16 ms", "2.00"]
    assert table[2][2:] == ["-"] * 6
    rows = {"t100": measured(ADDING["t100"], {OURS: [1e-4], "PyTorch": [1e-3]})}
    table, _ = tables.adding(Results(Settings("adding", ["t100"], 1), MACHINE, rows))
    assert table[1][2:] == ["100 us", "1 ms", "10"]


def test_the_table_of_streams():
    row = STREAM["lstm16-step"]
    times = {OURS: [1e-6] * 3, "onnxruntime": [15e-6] * 3, "NumPy": [8e-6] * 3}
    found = Results(
        Settings("stream", ["lstm16-step"], 3), MACHINE, {"lstm16-step": measured(row, times)}
    )
    table, notes = tables.stream(found)
    assert table[0][2:] == [
        "rnn_fast",
        "onnxruntime",
        "NumPy",
        "times the best peer",
        "the best peer",
    ]
    assert table[1][2:] == ["1 us", "15 us", "8 us", "8", "NumPy form"]
    assert any("8 to 8 times the best peer" in note for note in notes)
    table, _ = runs.together([found, found])
    assert table == [
        ["row", "network and batch", "rnn_fast", "onnxruntime", "NumPy", "the best peer"],
        ["lstm16-step", str(row), "1 us", "15", "8", "8"],
    ]


def test_several_runs_give_what_they_lie_between(results):
    other = Results(results.settings, MACHINE, {})
    for name, row in results.rows.items():
        doubled = [
            replace(t, seconds=[2 * s for s in t.seconds] if t.family in PEERS else t.seconds)
            for t in row.timings
        ]
        other.rows[name] = replace(row, timings=doubled)
    table, notes = runs.together([results, other])
    assert "least and the largest of 2 runs" in notes[0]
    for line, row in zip(table[1:], results.rows.values(), strict=True):
        found = dict(zip(table[0], line, strict=True))
        own = row.best(OURS)
        assert found["rnn_fast"] == tables.duration(own.median)
        assert found["of gemm"] == f"{tables.of_gemm(row):.0%}"
        for family in PEERS:
            if theirs := row.best(family):
                low = ratio(theirs, own)
                assert found[family] == f"{tables.factor(low)}-{tables.factor(2 * low)}"
        lead, _ = tables.times(row)
        assert found["the best peer"] == f"{tables.factor(lead)}-{tables.factor(2 * lead)}"
    lines = report.text(results, other).splitlines()
    assert sum(MACHINE["processor"] in line for line in lines) == 1
    assert report.markdown(results, results).splitlines()[0].startswith("| row | network")


def test_runs_lie_between_in_their_unit():
    assert runs.between([1.5e-3, 1.1e-3], tables.duration) == "1.1-1.5 ms"
    assert runs.between([1.5e-3, 1.1e-6], tables.duration) == "1.1 us-1.5 ms"
    assert runs.between([0.5, 0.47], "{:.0%}".format) == "47-50%"
    assert runs.between([2.51, 2.52], tables.factor) == "2.5"
    assert runs.between([], tables.factor) == "-"


def test_several_runs_of_the_other_subjects():
    times = {OURS: [4e-3], RAGGED_OURS: [2e-3], "PyTorch": [8e-3], PACKED: [16e-3]}
    for subject, rows, expected in (
        ("ragged", {"lstm-b64": measured(RAGGED["lstm-b64"], times)}, ["4 ms", "0.5", "2", "8"]),
        ("adding", {"t100": measured(ADDING["t100"], times)}, ["4 ms", "2"]),
        ("threads", {"neuro": measured(FIELD["neuro"], {OURS: [2], TOGETHER: [1]})}, ["2 s", "2"]),
    ):
        found = Results(Settings(subject, list(rows), 1), MACHINE, rows)
        table, _ = runs.together([found, found])
        assert table[1][2:] == expected


def test_runs_of_different_subjects_are_not_laid_together(results, bench, tmp_path):
    results.write(tmp_path / "grid.json")
    row = {"neuro": measured(FIELD["neuro"], {OURS: [2], TOGETHER: [1]})}
    Results(Settings("threads", ["neuro"], 1), MACHINE, row).write(tmp_path / "threads.json")
    code, out, err = bench("--read", tmp_path / "grid.json", tmp_path / "threads.json")
    assert (code, out) == (2, "")
    assert err == "rnn-fast: error: runs of different subjects, grid and threads\n"


def test_json_goes_there_and_back(results, tmp_path):
    results.write(tmp_path / "found.json")
    assert Results.read(tmp_path / "found.json") == results


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": {"a": {}}}'])
def test_other_json_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="is not what `rnn-fast bench --json` writes"):
        Results.read(path)


def test_a_chart(results, tmp_path):
    pytest.importorskip("matplotlib")
    from rnn_fast.bench.plot import plot

    plot(results, tmp_path / "chart.png")
    for name in ("chart.png", "chart-dark.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    plot([results, results], tmp_path / "chart.svg")
    light, dark = ((tmp_path / f"chart{end}.svg").read_text() for end in ("", "-dark"))
    assert light != dark
    words = ("rnn_fast", "JAX", "PyTorch", "NumPy", "tutorial", "One training step", "A Processor")
    for name in words:
        assert f"<!-- {name}" in light and f"<!-- {name}" in dark


def test_a_spread_is_of_all_rounds_of_all_runs(results):
    from rnn_fast.bench.plot import by_round, spread

    measured = next(each for each in results.rows.values() if each.best("JAX"))
    ratios = by_round(measured.best("JAX"), measured.best("rnn_fast"))
    both = spread([measured, measured], "JAX")
    assert both == (statistics.median(ratios), min(ratios), max(ratios))
    assert spread([measured], "nobody") is None


def test_no_chart_of_nothing(results, tmp_path):
    pytest.importorskip("matplotlib")
    from rnn_fast.bench.plot import plot

    with pytest.raises(ValueError, match="no row was measured"):
        plot(Results(results.settings, MACHINE), tmp_path / "empty.png")


# ---------------------------------------------------------------------------- the command


def test_who_is_not_installed_is_named(monkeypatch):
    for package in ("torch", "jax", "keras"):
        monkeypatch.setitem(sys.modules, package, None)
        for module in ("jax_rnn", "torch_rnn", "keras_rnn"):
            monkeypatch.delitem(sys.modules, f"rnn_fast.bench.peers.{module}", raising=False)
    found, left_out = import_peers(Settings("grid", [], 1))
    assert list(found) == ["NumPy"]
    missing = "JAX, PyTorch, Keras (not installed; `pip install 'rnn_fast[peers]'` brings them)"
    assert left_out == [missing]


@pytest.fixture
def bench(capfd):
    """Run the command; gives (exit code, standard output, standard error)."""

    def call(*arguments) -> tuple[int, str, str]:
        code = main(["bench", *map(str, arguments)])
        return code, *capfd.readouterr()

    return call


def test_a_run(bench, tmp_path):
    path = tmp_path / "found.json"
    code, out, err = bench(
        "ladder", "--rows", "h5b256", "--quick", "--without-peers", "--json", path
    )
    assert (code, err) == (0, "")
    assert "RNN B256 T50 I8 H5" in out and "one thread each" in out
    found = Results.read(path)
    assert list(found.rows) == ["h5b256"]
    assert {t.family for t in found.rows["h5b256"].timings} == {OURS, GEMM}
    assert all(len(t.seconds) == 3 and min(t.seconds) > 0 for t in found.rows["h5b256"].timings)
    code, again, _ = bench("--read", path)
    assert code == 0 and again == out
    code, out, _ = bench("--read", path, path)
    assert code == 0 and "of 2 runs" in out and "RNN B256 T50 I8 H5" in out
    code, out, _ = bench("--read", path, "--markdown")
    assert code == 0 and "| h5b256 | RNN B256 T50 I8 H5 |" in out


def test_a_run_of_a_stream(bench, tmp_path):
    path = tmp_path / "found.json"
    code, out, err = bench(
        "stream", "--rows", "lstm16-*", "--quick", "--without-peers", "--json", path
    )
    assert (code, err) == (0, "")
    assert "LSTM B1 T64 I1 H16 every step" in out and "one thread each" in out
    assert "left out by --quick: the other rows, slow-compiling forms\n" in out
    assert list(Results.read(path).rows) == ["lstm16-step", "lstm16-64", "lstm16-4096"]


def test_an_online_run(bench):
    code, out, err = bench("online", "--rows", "rnn-h8t10b1", "--rounds", 1, "--without-peers")
    assert (code, err) == (0, "")
    assert "RNN B1 T10 I1 H8" in out and "`forward` and `backward`, one call per sample" in out


def test_a_ragged_run(bench):
    code, out, err = bench("ragged", "--rows", "lstm-b32", "--rounds", 1, "--without-peers")
    assert (code, err) == (0, "")
    assert "LSTM B32 T100 I8 H64" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "tutorials"], "no row matches 'tutorials'"),
        (["ragged", "--rows", "tutorial"], "no row matches 'tutorial'; there are rnn-b256"),
        (
            ["ragged", "--plot", "a.png"],
            "--plot is for grid, ladder, online, stream, not for ragged",
        ),
        (["--json", "/no/such/folder/a.json"], "cannot write"),
        (["--read", "a", "b", "--json", "c"], "--json is for one run"),
        (["--read", __file__], "is not what `rnn-fast bench --json` writes"),
    ],
)
def test_wrong_usage(bench, arguments, words):
    code, out, err = bench(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("rnn-fast: error: ") and words in err and err.count("\n") == 1


def test_a_chart_needs_a_known_ending(bench):
    pytest.importorskip("matplotlib")
    code, out, err = bench("--plot", "a.chart")
    assert (code, out) == (2, "") and "a chart's name must end in one of" in err


def test_a_chart_needs_matplotlib(bench, monkeypatch):
    for module in ("matplotlib", "matplotlib.backend_bases"):
        monkeypatch.setitem(sys.modules, module, None)
    code, out, err = bench("--plot", "chart.png")
    assert (code, out) == (2, "") and "`pip install 'rnn_fast[plot]'` brings it" in err


def test_a_worker_that_dies_is_told_of(monkeypatch):
    results = Results(Settings("grid", ["no such row"], 1, peers=False))
    with pytest.raises(ChildProcessError, match="KeyError: 'no such row'"):
        run.measure(results)
    assert results.machine["cores"] == os.cpu_count()


def test_the_worker_has_one_thread():
    code = "import sys, numpy, threadpoolctl, rnn_fast; print(rnn_fast.__file__)\n"
    code += "print(*(pool['num_threads'] for pool in threadpoolctl.threadpool_info()))"
    pytest.importorskip("threadpoolctl")
    done = subprocess.run(
        [sys.executable, "-c", code], env=run.environment("grid"), capture_output=True, text=True
    )
    where, threads = done.stdout.splitlines()
    assert where == rnn_fast.__file__
    assert set(threads.split()) <= {"1"}


@pytest.mark.skipif(os.name == "nt", reason="signals are another thing there")
def test_an_interrupt_leaves_what_there_is(tmp_path):
    path = tmp_path / "found.json"
    command = [sys.executable, "-m", "rnn_fast", "bench", "ladder", "--rows", "h5b256,*64*"]
    command += ["--without-peers", "--rounds", "1", "--json", str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not path.exists() and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "rnn-fast: error: interrupted\n"
    assert "RNN B256 T50 I8 H5" in out and "not measured: " in out
    assert "h5b256" in Results.read(path).rows
