"""The command line, run in this process but for the ends that only a process has."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import rnn_fast
from rnn_fast.cli.main import main
from rnn_fast.saving import checkpoint


@pytest.fixture
def cli(capsys):
    """Run a command; gives (exit code, standard output, standard error)."""

    def run(*arguments) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def npz(tmp_path):
    """Write arrays to a new .npz file; gives its path."""

    def write(**arrays) -> Path:
        path = tmp_path / f"data{len(list(tmp_path.iterdir()))}.npz"
        np.savez(path, **arrays)
        return path

    return write


def sequences(n: int, T: int = 6, features: int = 1) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((n, T, features))


SIGN = (sequences(40).sum((1, 2)) > 0).astype(int)


def refused(result: tuple[int, str, str], *words: str) -> None:
    """`result` is exit code 2 and one line of error with `words` in it."""
    code, out, err = result
    assert code == 2, err
    assert out == "" and err.startswith("rnn-fast: error: ") and err.count("\n") == 1
    for word in words:
        assert word in err


# ---------------------------------------------------------------------------------------- train


def test_the_tutorials_experiment(cli):
    code, out, err = cli("train")
    assert code == 0
    epochs = re.findall(r"epoch (\d+)/10: loss [\d.]+, accuracy [\d.]+, [\d,]+ sequences/s", err)
    assert epochs == [str(i) for i in range(1, 11)]
    held_out = re.search(r"1000 held-out sequences: loss ([\d.]+), accuracy ([\d.]+)", out)
    assert held_out and float(held_out[1]) < 0.3 and float(held_out[2]) > 0.88
    assert "first run compiles" in out
    assert re.search(r"throughput: [\d,]+ sequences/s", out)
    assert re.search(r"one prediction: class [01], as .* [\d.]+; the truth is [01]\n", out)


def test_same_seed_same_model(cli, tmp_path):
    files = [tmp_path / name for name in "abc"]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        code, out, err = cli(
            *("train", "--samples", 50, "--length", 4, "--epochs", 2, "--hidden", 5),
            *("--seed", seed, "--save", file, "--quiet"),
        )
        assert (code, out, err) == (0, "", "")
    a, b, c = (rnn_fast.load(file).Whh for file in files)
    assert (a == b).all() and (a != c).any()


def test_options_reach_the_model(cli, tmp_path):
    file = tmp_path / "model"
    code, *_ = cli(
        *("train", "--samples", 30, "--epochs", 1, "--hidden", 7, "--nonlinearity", "relu"),
        *("--dtype", "float64", "--batch-size", 8, "--momentum", 0.5, "--learning-rate", 0.125),
        *("--loss", "mse", "--save", file),
    )
    model = rnn_fast.load(file)
    assert code == 0 and model.hidden_size == 7 and model.nonlinearity == "relu"
    assert model.dtype == np.float64 and model.loss == "mse" and model.learning_rate == 0.125


def test_options_of_the_network(cli, tmp_path):
    file = tmp_path / "model"
    code, out, err = cli(
        *("train", "--samples", 20, "--epochs", 1, "--hidden", 3, "--cell", "gru", "--layers", 2),
        *("--bidirectional", "--dropout", 0.25, "--every-step", "--loss", "huber"),
        *("--batch-size", 8, "--save", file),
    )
    assert code == 0, err
    model = rnn_fast.load(file)
    assert isinstance(model, rnn_fast.GRU) and model.loss == "huber" and model.dropout == 0.25
    assert model.num_layers == 2 and model.bidirectional and model.return_sequences
    assert re.search(r"one prediction: -?[\d.]+; the truth is [01]\n", out)


def test_a_training_is_gone_on_with(cli, tmp_path):
    command = ("train", "--samples", 50, "--optimizer", "adam", "--schedule", "warmup", "--quiet")
    whole, part, more = (tmp_path / name for name in ("whole", "part", "more"))
    assert cli(*command, "--epochs", 4, "--save", whole)[0] == 0
    going_on = (*command, "--checkpoint", part, "--resume")
    assert cli(*going_on, "--epochs", 2) == (0, "", "")
    assert cli(*going_on, "--epochs", 4, "--save", more) == (0, "", "")
    assert (rnn_fast.load(more).Whh == rnn_fast.load(whole).Whh).all()
    refused(cli(*going_on, "--epochs", 4, "--clip-norm", 1), "resume", "settings")
    refused(cli("train", "--resume", "--quiet"), "resume=True needs a checkpoint")
    refused(cli("train", "--optimizer", "adam", "--momentum", 0.5, "--quiet"), "--momentum")


def test_sequences_of_indices_and_lengths(cli, npz, tmp_path):
    rng = np.random.default_rng(0)
    X, lengths = rng.integers(0, 5, (40, 6)), rng.integers(1, 7, 40)
    y, inside = (X + 1) % 5, np.arange(6) < lengths[:, None]
    X[~inside] = -1  # what stands in the padding is nothing to anyone
    y[~inside] = -1
    data, file = npz(X=X, y=y, lengths=lengths), tmp_path / "model"
    code, out, err = cli(
        *("train", "--data", data, "--embedding", 3, "--every-step", "--cell", "lstm"),
        *("--hidden", 6, "--batch-size", 8, "--bptt", 3, "--epochs", 80, "--save", file),
        *("--momentum", 0.9, "--learning-rate", 0.1),
    )
    assert code == 0, err
    assert "one prediction: class" in out
    model = rnn_fast.load(file)
    assert (model.input_size, model.embedding_size, model.output_size) == (5, 3, 5)
    assert model.loss == "cross_entropy"
    code, out, err = cli("predict", file, data)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "sequence,step,class," + ",".join(f"probability_{i}" for i in range(5))
    table = np.loadtxt(lines[1:], delimiter=",", dtype=np.float32)
    np.testing.assert_array_equal(table[:, :2].astype(int), np.argwhere(inside))
    np.testing.assert_array_equal(table[:, 2], model.predict(X, lengths=lengths)[inside])
    assert np.mean(table[:, 2] == y[inside]) == 1  # the next of five is easily learned
    assert cli("predict", file, data, "--output", tmp_path / "out.npz") == (0, "", "")
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["class"], model.predict(X, lengths=lengths))


@pytest.mark.parametrize(
    ("y", "arguments", "loss", "outputs"),
    [
        (SIGN, (), "bce", 1),
        (SIGN.astype(float)[:, None], (), "bce", 1),
        (SIGN > 0, (), "bce", 1),
        (np.stack([SIGN, 1 - SIGN, SIGN], 1), (), "bce", 3),
        (np.arange(40) % 4, (), "cross_entropy", 4),
        (np.arange(40, dtype=np.uint8)[:, None] % 3, (), "cross_entropy", 3),
        (SIGN, ("--loss", "cross_entropy"), "cross_entropy", 2),
        (np.linspace(-1, 1, 40), (), "mse", 1),
        (np.linspace(-1, 1, 80).reshape(40, 2), (), "mse", 2),
        (np.arange(40) - 5, ("--loss", "mse"), "mse", 1),
    ],
)
def test_what_y_calls_for(cli, npz, tmp_path, y, arguments, loss, outputs):
    file = tmp_path / "model"
    data = npz(X=sequences(40), y=y)
    code, out, err = cli("train", "--data", data, "--epochs", 1, "--save", file, *arguments)
    assert code == 0, err
    model = rnn_fast.load(file)
    assert (model.loss, model.output_size, model.input_size) == (loss, outputs, 1)
    assert "learning from 32 sequences of 6 steps" in out and "8 held-out sequences" in out


def test_nothing_held_out(cli, npz):
    data = npz(X=sequences(40), y=SIGN)
    code, out, _ = cli("train", "--data", data, "--epochs", 1, "--test-fraction", 0)
    assert code == 0 and "learning from 40 sequences" in out and "held-out" not in out


def test_digits_row_by_row(cli, npz, tmp_path):
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    data, file = npz(X=digits.images / 16, y=digits.target), tmp_path / "digits"
    code, out, _ = cli("train", "--data", data, "--epochs", 15, "--hidden", 48, "--save", file)
    held_out = re.search(r"359 held-out sequences: loss [\d.]+, accuracy ([\d.]+)", out)
    assert code == 0 and held_out and float(held_out[1]) > 0.93
    code, out, _ = cli("predict", file, data)
    lines = [line.split(",") for line in out.splitlines()]
    assert code == 0 and lines[0] == ["class", *(f"probability_{i}" for i in range(10))]
    said = np.array([int(line[0]) for line in lines[1:]])
    assert np.mean(said == digits.target) > 0.95


# -------------------------------------------------------------------------------------- predict


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A saved model for each loss, all for two features."""
    folder = tmp_path_factory.mktemp("models")
    for loss, outputs in (("bce", 1), ("bce", 2), ("cross_entropy", 3), ("mse", 1), ("mse", 2)):
        model = rnn_fast.SimpleRNN(2, 5, outputs, loss=loss, seed=0)
        model.save(folder / f"{loss}{outputs}")
    return folder


@pytest.mark.parametrize("name", ["bce1", "bce2", "cross_entropy3", "mse1", "mse2"])
def test_predictions_come_out_whole(cli, npz, models, tmp_path, name):
    X = sequences(9, 4, 2)
    model, data = rnn_fast.load(models / name), npz(X=X)
    expected = {"value": model.predict(X)}
    if model.loss != "mse":
        expected = {"class": model.predict(X), "probability": model.predict_proba(X)}

    assert cli("predict", models / name, data, "--output", tmp_path / "out.npz") == (0, "", "")
    with np.load(tmp_path / "out.npz") as out:
        assert sorted(out) == sorted(expected)
        for key in out:
            np.testing.assert_array_equal(out[key], expected[key])

    code, printed, _ = cli("predict", models / name, data)
    assert code == 0
    assert cli("predict", models / name, data, "--output", tmp_path / "out.csv") == (0, "", "")
    assert (tmp_path / "out.csv").read_text() == printed
    table = np.loadtxt(printed.splitlines()[1:], delimiter=",", ndmin=2, dtype=model.dtype)
    np.testing.assert_array_equal(table, np.column_stack(list(expected.values())))
    assert len(printed.splitlines()[0].split(",")) == table.shape[1]


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": sequences(9), "y": np.ones(9)}, ["no array X", "it holds x, y"]),
        ({"X": sequences(9)}, ["no array y"]),
        ({"X": sequences(9)[:, :, 0], "y": np.ones(9)}, ["X has shape (9, 6)", "X[:, :, None]"]),
        ({"X": sequences(9), "y": np.ones(8)}, ["(9, 6, 1)", "(8,)"]),
        ({"X": sequences(9), "y": np.float64(1)}, ["y ()"]),
        ({"X": sequences(1), "y": np.ones(1)}, ["none is left"]),
        ({"X": sequences(0), "y": np.ones(0)}, ["none is left"]),
        ({"X": sequences(9, 0), "y": np.ones(9)}, ["(9, 0, 1)"]),
        ({"X": sequences(9) + 1j, "y": np.ones(9)}, ["X", "complex"]),
        ({"X": sequences(9), "y": np.array(list("abcdefghi"))}, ["y", "<U1"]),
        ({"X": sequences(9), "y": np.arange(9) - 1}, ["from -1 to 7", "--loss mse"]),
        ({"X": sequences(9), "y": np.arange(9) * 10}, ["from 0 to 80", "--loss mse"]),
        ({"X": np.array([[[None]]]), "y": np.ones(1)}, ["Python objects"]),
        ({"X": sequences(9), "y": np.array([None] * 9)}, ["Python objects"]),
    ],
)
def test_unfit_arrays(cli, npz, arrays, words):
    refused(cli("train", "--quiet", "--data", npz(**arrays)), *words)


def test_the_index_of_a_nan_is_the_users(cli, npz):
    X = sequences(40)
    X[31, 2, 0] = np.nan
    refused(cli("train", "--quiet", "--data", npz(X=X, y=SIGN)), "X[31, 2, 0]")


def test_targets_that_are_missing(cli, npz, tmp_path):
    y, file = np.where(np.arange(40) % 3, SIGN, np.nan), tmp_path / "model"
    arguments = ("train", "--data", npz(X=sequences(40), y=y), "--epochs", 1)
    refused(cli(*arguments, "--quiet"), "y[0] = nan is not finite")
    code, out, err = cli(*arguments, "--missing", "nan", "--save", file)
    assert code == 0 and "nan," not in out, err
    assert rnn_fast.load(file).loss == "bce"
    y[:] = np.nan
    data = npz(X=sequences(40), y=y)
    refused(cli("train", "--data", data, "--missing", "nan"), "to learn from are missing")
    refused(cli("train", "--missing", "nan"), "--missing goes with --data")


def test_unreadable_data(cli, npz, tmp_path):
    sound = npz(X=sequences(40), y=SIGN).read_bytes()
    bad = tmp_path / "bad.npz"
    refused(cli("train", "--data", tmp_path / "none.npz"), "none.npz", "No such file")
    refused(cli("train", "--data", tmp_path), "directory")
    for content in (b"", b"X,y\n1,2\n", sound[:-1], sound[: len(sound) // 2]):
        bad.write_bytes(content)
        refused(cli("train", "--data", bad), "not an .npz file")
    bad.write_bytes(sound[:200] + bytes([sound[200] ^ 1]) + sound[201:])
    refused(cli("train", "--data", bad), "damaged")
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("X", "no array")
        archive.writestr("y", "nor this")
    refused(cli("train", "--data", bad), "X has shape ()")
    np.save(tmp_path / "array.npy", SIGN)
    refused(cli("train", "--data", tmp_path / "array.npy"), "not an .npz file")


def test_unwritable_results_are_refused_at_once(cli, npz, models, tmp_path):
    missing = tmp_path / "none" / "model"
    refused(cli("train", "--save", missing), "cannot write", str(missing))
    refused(cli("train", "--save", tmp_path), "cannot write", "directory")
    data = npz(X=sequences(9, 4, 2))
    refused(cli("predict", models / "bce1", data, "--output", tmp_path / "a.txt"), ".csv or .npz")
    refused(cli("predict", models / "bce1", data, "--output", missing.with_suffix(".csv")), "none")


def test_unfit_models(cli, npz, models, tmp_path):
    data = npz(X=sequences(9))
    refused(cli("predict", tmp_path / "none", data), "none", "No such file")
    refused(cli("predict", data, data), str(data))
    refused(cli("predict", models / "bce1", data), "X", "(9, 6, 1)")
    damaged = bytearray((models / "bce1").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    refused(cli("predict", tmp_path / "damaged", data), "damaged")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("train", "--hidden", "0"),
        ("train", "--hidden", "2.5"),
        ("train", "--learning-rate", "nan"),
        ("train", "--learning-rate", "inf"),
        ("train", "--momentum", "1"),
        ("train", "--loss", "hinge"),
        ("train", "--seed", "-1"),
        ("train", "--cell", "elman"),
        ("train", "--dropout", "1"),
        ("predict", "model"),
    ],
)
def test_wrong_usage(cli, arguments):
    code, out, err = cli(*arguments)
    assert code == 2 and out == "" and err.startswith("usage: rnn-fast")


def test_options_that_exclude_each_other(cli, npz):
    data = npz(X=sequences(40), y=SIGN)
    refused(cli("train", "--cell", "gru", "--nonlinearity", "relu"), "--nonlinearity")
    refused(cli("train", "--embedding", 3), "--embedding")
    refused(cli("train", "--data", data, "--embedding", 3), "(40, 6, 1)", "--embedding")
    refused(cli("train", "--data", data, "--every-step"), "(40,)", "--every-step")
    short = npz(X=sequences(40), y=SIGN, lengths=np.ones(39, int))
    refused(cli("train", "--data", short), "lengths (39,)")
    refused(cli("train", "--bidirectional", "--bptt", 3, "--quiet"), "bptt")
    refused(cli("train", "--data", data, "--samples", 5), "--samples")
    refused(cli("train", "--test-fraction", 0.5), "--test-fraction")


# ------------------------------------------------------------------------------------- failures


def test_divergence_is_reported(cli, npz, tmp_path):
    data = npz(X=1e3 * sequences(40), y=1e3 * sequences(40)[:, 0, 0])
    file = tmp_path / "model"
    code, _, err = cli(
        *("train", "--data", data, "--learning-rate", 1e6, "--nonlinearity", "relu"),
        *("--save", file, "--quiet"),
    )
    assert code == 1 and "diverged" in err and err.count("\n") == 1
    assert not file.exists()


def test_as_a_process(npz, models):
    command = [sys.executable, "-m", "rnn_fast"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"rnn-fast {rnn_fast.__version__}\n"
    data = npz(X=sequences(20_000, 1, 2))
    reading, writing = os.pipe()
    os.close(reading)  # a reader that has gone
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [*command, "predict", models / "bce1", data], stdout=pipe, stderr=subprocess.PIPE
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def shell(models, npz, tmp_path):
    """Run a line of bash with ``$run``, ``$train``; gives exit codes, output, error."""
    run = f"{sys.executable} -m rnn_fast"
    names = {
        "run": run,
        "train": f"{run} train --samples 40 --length 4 --epochs 5",
        "predict": f"{run} predict {models / 'bce1'} {npz(X=sequences(9, 4, 2))}",
        "file": str(tmp_path / "model"),
        "codes": str(tmp_path / "codes"),
    }

    def call(script: str, **more: str) -> tuple[list[int], str, str]:
        done = subprocess.run(
            ["bash", "-c", f"{script}; echo ${{PIPESTATUS[*]}} > $codes"],
            capture_output=True,
            text=True,
            env={**os.environ, **names, **more},
        )
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
        codes = (tmp_path / "codes").read_text().split()
        return [int(code) for code in codes], done.stdout, done.stderr

    return call


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_ends_early(unbuffered, shell, tmp_path):
    """The model is saved; where there is none to save, nobody waits for the results."""
    shell = partial(shell, PYTHONUNBUFFERED=unbuffered)
    codes, out, err = shell("$train --save $file | head -1")
    assert codes == [0, 0] and out.startswith("<SimpleRNN(") and out.count("\n") == 1
    assert rnn_fast.load(tmp_path / "model").hidden_size == 32
    codes, out, err = shell("$train 2>/dev/null | head -1")
    assert codes == [0, 0] and err == ""
    codes, out, err = shell("$train --save $file.2 2>&1 | head -1")
    assert codes == [0, 0] and (tmp_path / "model.2").exists()
    assert shell("$run --help | true")[::2] == ([0, 0], "")


def test_standard_output_that_is_closed(shell, tmp_path):
    codes, _, err = shell("$train --save $file >&-")
    assert codes == [0] and "epoch 5/5" in err and (tmp_path / "model").exists()
    for command in ("$train --quiet --save $file.2 >&-", "$train --save $file.3 >&- 2>&-"):
        assert shell(command) == ([0], "", "")
    assert (tmp_path / "model.2").exists() and (tmp_path / "model.3").exists()
    for command in ("$train >&-", "$predict >&-"):
        codes, _, err = shell(command)
        assert codes == [1] and "rnn-fast: error: " in err and "standard output is closed" in err
    assert shell("$predict --output $file.csv >&- 2>&-") == ([0], "", "")
    assert shell("$predict >&- 2>&-") == ([1], "", "")


def test_standard_error_that_is_closed(shell, tmp_path):
    codes, out, _ = shell("$train --save $file 2>&-")
    assert codes == [0] and "throughput: " in out and "epoch" not in out
    codes, out, _ = shell("$predict.nothing 2>&-")  # an error that nobody hears
    assert codes == [2] and out == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_that_is_full(unbuffered, shell, tmp_path):
    shell = partial(shell, PYTHONUNBUFFERED=unbuffered)
    for command in ("$train >/dev/full", "$predict >/dev/full"):
        codes, _, err = shell(command)
        assert codes == [1] and err.endswith("No space left on device\n")
    assert shell("$train --save $file >/dev/full")[0] == [0] and (tmp_path / "model").exists()


def test_names_that_the_output_cannot_spell(shell, npz, tmp_path):
    name = tmp_path / "donn\u00e9es.npz"
    npz(X=sequences(40), y=SIGN).rename(name)
    command = "$run train --data $data --epochs 1"
    codes, out, _ = shell(command, data=str(name), PYTHONIOENCODING="ascii")
    assert codes == [0] and r"donn\xe9es.npz" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_checkpoint_and_a_word(number, code, tmp_path):
    path, model = tmp_path / "c", tmp_path / "model"
    command = [sys.executable, "-m", "rnn_fast", "train", "--epochs", "1000000", "--threads", "1"]
    command += ["--checkpoint", str(path), "--save", str(model)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code
    last = err.decode().splitlines()[-1]
    assert last.startswith("rnn-fast: error: training stopped after ") and str(path) in last
    assert checkpoint.epochs(path) > 0
    assert "stopped early" in out.decode() and str(model) in out.decode()
    assert rnn_fast.load(model).hidden_size == 32
