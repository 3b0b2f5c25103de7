"""``rnn-fast export``, run in this process."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rnn_fast import GRU, from_onnx, load
from rnn_fast.cli.export import FORMATS
from rnn_fast.cli.main import main


@pytest.fixture
def cli(capsys):
    """Run ``export``; gives (exit code, standard output, standard error)."""

    def run(*arguments) -> tuple[int, str, str]:
        try:
            code = main(["export", *map(str, arguments)])
        except SystemExit as stop:  # argparse
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def model(tmp_path):
    GRU(2, 3, loss="mse", seed=1).save(tmp_path / "model")
    return tmp_path / "model"


def test_c(cli, model, tmp_path):
    assert cli(model, "--to", "c", tmp_path / "amp.h") == (0, "", "")
    load(model).to_c(tmp_path / "same.h", "amp")
    assert (tmp_path / "amp.h").read_text() == (tmp_path / "same.h").read_text()


def test_rtneural(cli, model, tmp_path):
    assert cli(model, "--to", "rtneural", tmp_path / "amp.json") == (0, "", "")
    assert json.loads((tmp_path / "amp.json").read_text())["in_shape"] == [None, None, 2]


def test_torch_loads_safely(cli, model, tmp_path):
    torch = pytest.importorskip("torch")
    assert cli(model, "--to", "torch", tmp_path / "amp.pt") == (0, "", "")
    state = torch.load(tmp_path / "amp.pt", weights_only=True)
    module = load(model).to_torch()
    assert module.load_state_dict(state).missing_keys == []
    np.testing.assert_array_equal(state["rnn.weight_hh_l0"].numpy(), load(model).Whh)


@pytest.mark.parametrize("format", FORMATS)
def test_formats_are_methods_of_models(format):
    assert callable(getattr(GRU, f"to_{format}"))


def test_onnx(cli, model, tmp_path):
    pytest.importorskip("onnx")
    assert cli(model, "--to", "onnx", tmp_path / "amp.onnx") == (0, "", "")
    np.testing.assert_array_equal(from_onnx(tmp_path / "amp.onnx").Whh, load(model).Whh)


def refused(result, *words):
    code, out, err = result
    assert code == 2 and out == "" and err.startswith("rnn-fast: error: ") and err.count("\n") == 1
    for word in words:
        assert word in err


def test_errors(cli, model, tmp_path):
    refused(cli(tmp_path / "none", "--to", "c", tmp_path / "a.h"), "none: No such file")
    refused(cli(model, "--to", "c", tmp_path / "a-b.h"), "name must be an identifier", "a-b")
    refused(cli(model, "--to", "c", tmp_path / "no" / "a.h"), "cannot write")
    refused(cli(model, "--to", "c", tmp_path), "it is a directory")
    GRU(2, 3, bidirectional=True).save(model)
    refused(cli(model, "--to", "rtneural", tmp_path / "a.json"), "bidirectional=True")
    model.write_bytes(b"x")
    refused(cli(model, "--to", "c", tmp_path / "a.h"), "model")
    for wrong in (("--to", "pdf", tmp_path / "a"), (tmp_path / "a",), ("--to", "c")):
        assert cli(model, *wrong)[0] == 2
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
