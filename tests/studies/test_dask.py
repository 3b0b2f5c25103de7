"""Studies on a Dask cluster of processes: the same bits, lost workers, interrupts, refusals."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
import time

import numpy as np
import pytest
from study_cases import FORMS, data, row

from rnn_fast import GRU, DivergedError, EarlyStopping, Study, fit_many, folds, grid
from rnn_fast.cli.main import main
from rnn_fast.studies.cluster import CHUNK, DaskCrew, Workers, chunks_of
from rnn_fast.studies.plan import Planner
from rnn_fast.studies.sources import Sources
from rnn_fast.studies.worker import Data, check_alike, identity, train_chunk
from rnn_fast.tuning import TUNING, Tuning, tuned

distributed = pytest.importorskip("distributed")

rng = np.random.default_rng(0)
X = rng.standard_normal((24, 6, 2))
y = (X.sum((1, 2)) > 0).astype(int)
DASHBOARD = {"dashboard_address": ":0"}  # any port that is free
COMMON = {"input_size": 2, "epochs": 3, "verbose": 0}
RUNS = grid(hidden_size=[1, 2]) * folds(24, outer=2, inner=2)
#: each run is a chunk, by its most epochs, and stops after half a second
LONG = grid(hidden_size=[20], label=range(4))
STOPPING = EarlyStopping(10_000, min_delta=9.0)
STOPS = COMMON | {"epochs": 10**6, "early_stopping": STOPPING, "validation_split": 0.3}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """An empty folder for the programs of all workers."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def client(cache):
    options = {"n_workers": 2, "threads_per_worker": 1, **DASHBOARD}
    environment = {"RNN_FAST_CACHE_DIR": str(cache)}
    with distributed.LocalCluster(processes=True, env=environment, **options) as cluster:
        with distributed.Client(cluster) as client:
            yield client


@pytest.fixture(scope="module")
def long():
    every = Tuning()
    with tuned(tiles=every.tiles, unit_vecs=every.unit_vecs):  # as the workers have
        study = fit_many(GRU, LONG, X, y, **STOPS)
    with study:
        yield study


def assert_same(study, other):
    """Check that two studies have the same table, models and curves."""
    one, two = ({r.pop("id"): r for r in each.records()} for each in (study, other))
    for record in (*one.values(), *two.values()):
        del record["seconds"]
    assert one == two
    columns = "id, parameters, generator"
    assert study._store.select(columns) == other._store.select(columns)
    for id in study.done:
        losses = study.history(id).loss
        assert losses == other.history(id).loss and len(losses)


def pids(client):
    return set(client.run(os.getpid).values())


def kill_after(client, seconds, n):
    """Kill `n` workers in so many seconds."""
    victims = sorted(pids(client))[:n]
    killer = threading.Timer(seconds, lambda: [os.kill(pid, signal.SIGKILL) for pid in victims])
    killer.start()
    return victims


# ------------------------------------------------------------------------------------------- bits


@pytest.mark.all_tiles  # as the workers have
def test_workers_train_the_same_and_compile_nothing(client, cache, tmp_path):
    path = tmp_path / "a.study"
    with fit_many(GRU, RUNS, X, y, client=client, store=path, **COMMON) as study:
        with fit_many(GRU, RUNS, X, y, **COMMON) as other:
            assert_same(study, other)
            machines = [each._store.select("about", "join machine on machine = machine.id")
                        for each in (study, other)]  # fmt: skip
            assert machines[0] == machines[1]
    assert not any(client.run(lambda: "numba" in sys.modules).values())
    assert not list(cache.rglob("*.o"))
    assert set(client.run(lambda: "rnn_fast.jit.cache" in sys.modules).values()) == {True}
    with fit_many(GRU, RUNS, X, y, client=client, store=path, **COMMON) as study:
        assert study.counts() == {"done": 8}


@pytest.mark.sweep  # 40 s of compiling; the same models as in test_bits
@pytest.mark.parametrize("form", FORMS)
def test_all_kinds_of_data_and_models_are_as_in_one_process(client, cache, one_tile, form):
    tune_workers(client, TUNING)
    X, steps, _, more = data(form)
    rows = [row(seed, form) for seed in range(6)]
    common = {"input_size": 2, "output_size": 3, "loss": "cross_entropy", "return_sequences": True}
    common |= {"verbose": 0, **more}
    with fit_many(None, rows, X, steps, client=client, **common) as study:
        with fit_many(None, rows, X, steps, **common) as other:
            assert_same(study, other)
    tune_workers(client, Tuning())
    assert not any(client.run(lambda: "numba" in sys.modules).values())
    assert not list(cache.rglob("*.o"))


def tune_workers(client, tuning):
    """Let workers use the tiles of `tuning`."""

    def tune(tiles, unit_vecs):
        from rnn_fast.tuning import TUNING

        TUNING.tiles, TUNING.unit_vecs = tiles, unit_vecs

    client.run(tune, tuning.tiles, tuning.unit_vecs)


@pytest.mark.all_tiles  # as the workers have
def test_data_of_subjects_and_weights(client):
    weight = rng.uniform(0.5, 2, 24)
    sets = {key: (X[half], y[half], weight[half]) for key, half in
            (("a", slice(11)), ("b", slice(11, 24)))}  # fmt: skip
    named = [{key: values[i] for key, values in sets.items()} for i in range(3)]
    runs = grid(data=["a", "b"], hidden_size=[2])
    arguments = {"X": named[0], "y": named[1], "sample_weight": named[2], **COMMON}
    with fit_many(GRU, runs, client=client, **arguments) as study:
        with fit_many(GRU, runs, **arguments) as other:
            assert_same(study, other)


@pytest.mark.all_tiles  # as the workers have
def test_workers_read_paths_themselves(client, tmp_path):
    np.savez(tmp_path / "d.npz", X=X, y=y)
    path = tmp_path / "d.npz"
    data = Data(Sources(path, path))
    assert len(pickle.dumps(data)) < 2000 < X.nbytes
    with fit_many(GRU, RUNS, path, path, client=client, **COMMON) as study:
        with fit_many(GRU, RUNS, X, y, **COMMON) as other:
            assert_same(study, other)
    np.savez(path, X=X + 1, y=y)
    with pytest.raises(ValueError, match="^X: a worker read other numbers than the client"):
        pickle.loads(pickle.dumps(data)).sources()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        client.submit(train_chunk, data, {}, identity(), planned()[:1]).result()


def planned():
    return Planner("gru", Sources(X, y), {"input_size": 2}).runs(RUNS)


def test_chunks_take_a_second_or_a_share():
    costs = (0.3, 9, 0.3, 0.4, 0.3, 0.3, 0.3, 0.3)
    runs = [run._replace(cost=cost) for run, cost in zip(planned(), costs, strict=True)]
    chunks = [[run.cost for run in chunk] for chunk in chunks_of(runs, 1)]
    assert chunks == [[9], [0.4, 0.3, 0.3], [0.3] * 4]
    assert all(sum(chunk) >= CHUNK for chunk in chunks)
    small = [run._replace(cost=0.001) for run in runs]
    assert [len(chunk) for chunk in chunks_of(small, 1)] == [1] * 8


# ----------------------------------------------------------------------------------- lost workers


@pytest.mark.all_tiles  # as the workers have
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("n", [1, 2])
def test_lost_chunks_are_trained_again(client, long, n):
    """With both workers the data are lost too."""
    victims = kill_after(client, 0.5, n)
    with fit_many(GRU, LONG, X, y, client=client, **STOPS) as study:
        assert not pids(client) & set(victims)
        assert_same(study, long)
    client.wait_for_workers(2)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_run_that_kills_its_workers_is_a_row(client):
    scheduler = client.cluster.scheduler
    before, scheduler.allowed_failures = scheduler.allowed_failures, 0
    try:
        kill_busy(client, 0.2)
        with pytest.warns(RuntimeWarning, match="1 of 1 runs have no result: 0 diverged, 1 failed"):
            study = fit_many(GRU, [*LONG][:1], X, y, client=client, **STOPS)
        assert study.failed["error"].iloc[0].startswith("KilledWorker: ")
        study.close()
        client.wait_for_workers(2)
        kill_busy(client, 0.05)
        rows = grid(hidden_size=[20], label=range(48))  # chunks of 3: each may be the cause
        with fit_many(GRU, rows, X, y, client=client, **COMMON | {"epochs": 1000}) as study:
            assert study.counts() == {"done": 48}
    finally:
        scheduler.allowed_failures = before
    client.wait_for_workers(2)


def kill_busy(client, seconds):
    """Kill the first worker that will have something to do, some seconds later."""
    own = client.run(os.getpid)

    def kill():
        while not (busy := [worker for worker, keys in client.processing().items() if keys]):
            time.sleep(0.01)
        time.sleep(seconds)
        os.kill(own[busy[0]], signal.SIGKILL)

    threading.Thread(target=kill).start()


class Lost:
    """A future whose workers are gone."""

    status = "cancelled"

    def done(self):
        return True


class Losing:
    """A client whose workers are gone whenever they have got the data."""

    scatter = staticmethod(lambda values, **options: [Lost() for _ in values])
    submit = staticmethod(lambda function, *arguments, **options: Lost())
    gather = staticmethod(list)
    cancel = staticmethod(len)


def test_a_study_that_loses_all_workers_again_and_again_ends():
    sources = Sources(X, y)
    runs = Planner("gru", sources, {"input_size": 2, "epochs": 3}).runs(RUNS)
    with DaskCrew(runs, sources, Workers(Losing(), 1, identity())) as crew:
        with pytest.raises(RuntimeError, match="all workers were lost 4 times, and no run was don"):
            for results in crew.results():
                assert not results


# --------------------------------------------------------------------------- failures, interrupts


def test_the_first_failure_is_raised(client):
    runs = [{"hidden_size": 2, "learning_rate": rate} for rate in (0.01, 1e30)]
    common = COMMON | {"loss": "mse", "optimizer": "sgd"}
    with pytest.raises(DivergedError, match=r"^runs\[1\] \(learning_rate=1e\+30\): tr") as caught:
        fit_many(GRU, runs, X, y, client=client, errors="raise", **common)
    assert len(caught.value.history) < 3
    with pytest.warns(RuntimeWarning, match="1 of 2 runs have no result: 1 diverged"):
        fit_many(GRU, runs, X, y, client=client, **common).close()


def test_ctrl_c_stops_all_workers_at_once(client, tmp_path):
    path, sent = tmp_path / "a.study", []
    runs = grid(hidden_size=[20], epochs=[3], label=range(3))
    runs += grid(hidden_size=[20], epochs=[10**7])

    def send():
        time.sleep(1.5)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send).start()
    with pytest.raises(KeyboardInterrupt, match=r"study stopped after \d of 4 runs; .* goes on fr"):
        fit_many(GRU, runs, X, y, store=path, client=client, **COMMON)
    assert time.perf_counter() - sent[0] < 0.6  # 0.3 on an idle machine
    busy = lambda dask_worker: dask_worker.state.executing_count  # noqa: E731
    end = time.perf_counter() + 2
    while any(client.run(busy).values()) and time.perf_counter() < end:
        time.sleep(0.05)
    assert not any(client.run(busy).values())
    with Study.open(path) as study:
        assert study.counts() == {"done": 3, "waiting": 1}


# --------------------------------------------------------------------------------------- refusals


def test_a_mixed_cluster_is_refused():
    text = "must be alike.* processor is x86-64-v. on tcp.* and x86-64-v. on tcp"
    with of_processors("x86-64-v3", "x86-64-v2") as client:
        with pytest.raises(ValueError, match=text):
            fit_many(GRU, RUNS, X, y, client=client, **COMMON)


@contextlib.contextmanager
def of_processors(*names, **environment):
    """Yield the client of a cluster that has a worker for each of some processors."""
    workers = {
        k: {
            "cls": distributed.Nanny,
            "options": {"nthreads": 1, "env": {"NUMBA_CPU_NAME": name, **environment}, **DASHBOARD},
        }
        for k, name in enumerate(names)
    }
    scheduler = {"cls": distributed.Scheduler, "options": DASHBOARD}
    with distributed.SpecCluster(workers, scheduler) as cluster:
        with distributed.Client(cluster) as client:
            yield client


@pytest.mark.sweep
def test_workers_unlike_the_client_compile_once(tmp_path):
    """One of them compiles, and the other gets the programs from it."""
    with of_processors("x86-64-v3", "x86-64-v3", RNN_FAST_CACHE_DIR=str(tmp_path)) as client:
        with fit_many(GRU, RUNS, X, y, client=client, **COMMON) as study:
            assert study.counts() == {"done": 8}
            about = json.loads(study._store.select("about", "join machine on 1")[0][0])
            assert about["processor"] == "x86-64-v3"
        assert not any(client.run(lambda: "numba" in sys.modules).values())
    assert list(tmp_path.glob("*.o"))


def test_a_worker_that_comes_later_must_be_alike_too(client):
    expected = {**identity(), "processor": "another"}
    future = client.submit(train_chunk, None, {}, expected, [])
    with pytest.raises(ValueError, match="processor is .*another on the first workers"):
        future.result()


def test_all_that_differs_is_told():
    one, two = {"numba": "1", "numpy": "2"}, {"numba": "1", "numpy": "3"}
    check_alike({"a": one, "b": dict(one)}, one)
    with pytest.raises(ValueError, match="numpy is 2 on a, c, d and 1 more and 3 on b$"):
        check_alike({"a": one, "b": two, "c": one, "d": one, "e": one}, one)


def test_what_is_no_cluster_is_refused(client):
    with pytest.raises(TypeError, match=r"client must be a distributed.Client that .*; got 'tcp"):
        fit_many(GRU, RUNS, X, y, client="tcp://head:8786", **COMMON)
    with pytest.raises(ValueError, match="n_jobs cannot go with client"):
        fit_many(GRU, RUNS, X, y, client=client, n_jobs=2, **COMMON)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, **DASHBOARD) as cluster,
        distributed.Client(cluster) as other,
        pytest.raises(ValueError, match="client has no workers yet"),
    ):
        fit_many(GRU, RUNS, X, y, client=other, **COMMON)


# ----------------------------------------------------------------------------------- command line


def test_the_command_line(client, tmp_path, capsys):
    np.savez(tmp_path / "d.npz", X=X, y=y)
    command = ["study", "--data", str(tmp_path / "d.npz"), "--grid", "hidden=1,2", "--epochs", "3"]
    command += ["--store", str(tmp_path / "a.study")]
    assert main([*command, "--dask", client.scheduler.address]) == 0
    assert "2 runs: 2 done" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--dask", "tcp://head:8786", "--jobs", "2"])
    assert "not allowed with argument" in capsys.readouterr().err
