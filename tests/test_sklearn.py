"""The estimators of scikit-learn: data of all forms, parameters, and what `fit` promises."""

from __future__ import annotations

import pickle
import subprocess
import sys
from inspect import signature

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from rnn_fast import GRU, LSTM, DivergedError, EarlyStopping, LeakyRNN, SimpleRNN
from rnn_fast.sklearn import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.usefixtures("one_tile")

N, T, I = 24, 5, 2
X = np.random.default_rng(0).standard_normal((N, T, I))
SUMS = X.sum((1, 2))
WORDS = np.array(["down", "still", "up"])[np.digitize(SUMS, [-1.5, 1.5])]
SMALL = {"hidden_size": 3, "epochs": 2, "random_state": 0}


def same_bits(a, b):
    """Return whether two models have the same parameters."""
    ours, theirs = a.parameters, b.parameters
    return ours.keys() == theirs.keys() and all(
        np.array_equal(ours[name], theirs[name]) for name in ours
    )


def by_hand(kind=GRU, y=SUMS, output_size=1, loss="mse", **fit):
    """Train the model that a small estimator should have."""
    seed = np.random.RandomState(0).randint(2**31 - 1)
    model = kind(I, 3, output_size, loss=loss, seed=seed, learning_rate=0.01)
    model.fit(X, y, **{"epochs": 2, "optimizer": "adam", "verbose": False} | fit)
    return model


# ------------------------------------------------------------------------------------ parameters


def test_every_option_is_a_parameter():
    ours = {*RNNClassifier().get_params(), *RNNRegressor().get_params()}
    models = {
        name for kind in (SimpleRNN, LeakyRNN, GRU, LSTM) for name in signature(kind).parameters
    }
    theirs = models | {*signature(GRU.fit).parameters}
    from_the_data = {"output_size", "X", "y", "lengths", "sample_weight"}
    by_another_name = {"seed", "validation_split"}  # random_state, validation_fraction
    chosen_for_labels = {"stratify"}
    for_the_model_alone = {"self", "return_sequences", "skip", "mask", "initial_state"}
    for_the_model_alone |= {"validation_data"}
    left_out = from_the_data | by_another_name | chosen_for_labels | for_the_model_alone
    assert theirs - ours == left_out
    assert ours - theirs == {"cell", "layout", "validation_fraction", "warm_start", "random_state"}


@pytest.mark.parametrize(
    ("cell", "kind", "options"),
    [
        ("rnn", SimpleRNN, {"nonlinearity": "relu", "num_layers": 2}),
        ("leaky", LeakyRNN, {"alpha": 0.5, "learn_alpha": True, "form": "membrane"}),
        ("gru", GRU, {"reset_after": False, "bidirectional": True, "dropout": 0.5}),
        ("lstm", LSTM, {"peepholes": True, "dtype": np.float64, "learn_initial_state": True}),
    ],
)
def test_parameters_reach_the_model(cell, kind, options):
    model = RNNRegressor(cell=cell, epochs=0, hidden_size=4, **options).fit(X, SUMS).model_
    assert type(model) is kind and model.hidden_size == 4
    assert {name: getattr(model, name) for name in options} == options


def test_same_bits_as_the_model():
    fitted = RNNRegressor(**SMALL, batch_size=10, l2=0.1, clip_norm=1.0).fit(X, SUMS)
    model = by_hand(batch_size=10, l2=0.1, clip_norm=1.0)
    assert same_bits(fitted.model_, model)
    assert np.array_equal(fitted.predict(X), model.predict(X))


def test_parameters_are_checked_when_fitting():
    for wrong, message in [
        ({"cell": "elman"}, "cell must be one of 'rnn', 'leaky', 'gru', 'lstm'; got 'elman'"),
        ({"layout": "TNI"}, "layout must be one of 'NTI', 'NIT'; got 'TNI'"),
        ({"loss": "bce"}, "loss must be one of 'mse', 'huber', 'mae', .*; got 'bce'"),
        ({"hidden_size": 0}, "hidden_size must be at least 1; got 0"),
        ({"validation_fraction": 1}, r"validation_fraction must be in \[0, 1\); got 1"),
        ({"optimizer": "adamm"}, "optimizer"),
        ({"embedding_size": 2}, "input_size must be the size of the vocabulary"),
        ({"input_size": 3}, r"X must have shape \(N, T, 3\)"),
    ]:
        data = np.ones((4, 3), int) if "embedding_size" in wrong else X[:4]
        with pytest.raises(ValueError, match=message):
            RNNRegressor(**wrong).fit(data, SUMS[:4])


def test_random_states():
    def fit(random_state):
        return RNNRegressor(**{**SMALL, "random_state": random_state}).fit(X, SUMS).model_

    assert same_bits(fit(7), fit(np.random.RandomState(7)))
    assert not same_bits(fit(7), fit(8))


# ------------------------------------------------------------------------------------------ data


@pytest.mark.parametrize(
    ("layout", "data"),
    [
        ("NTI", list(X)),
        ("NTI", X.tolist()),
        ("NTI", np.asfortranarray(X)),
        ("NIT", X.transpose(0, 2, 1)),
        ("NIT", [x.T for x in X]),
    ],
)
def test_forms_of_sequences(layout, data):
    fitted = RNNRegressor(**SMALL, layout=layout).fit(data, SUMS)
    assert same_bits(fitted.model_, by_hand())
    assert fitted.n_features_in_ == I
    assert np.array_equal(fitted.predict(data), by_hand().predict(X))


def test_univariate_series():
    fitted = RNNRegressor(**SMALL, layout="NIT").fit(X[:, :, 0], SUMS)
    with_axis = RNNRegressor(**SMALL).fit(X[:, :, :1], SUMS)
    assert same_bits(fitted.model_, with_axis.model_)
    assert fitted.n_features_in_ == T and with_axis.n_features_in_ == 1
    with pytest.raises(ValueError, match="X has 3 features, but RNNRegressor is expecting 5"):
        fitted.predict(X[:, :3, 0])
    assert with_axis.predict(X[:, :3, :1]).shape == (N,)  # another T


def test_ragged_series():
    series = [x[: 1 + i % T, 0] for i, x in enumerate(X)]
    objects = np.empty(N, object)
    objects[:] = series
    fitted = RNNRegressor(**SMALL).fit(series, SUMS)
    again = RNNRegressor(**SMALL).fit([x[:, None] for x in series], SUMS)
    assert same_bits(fitted.model_, again.model_)
    assert np.array_equal(fitted.predict(objects), again.predict(series))
    assert len(cross_val_score(again, series, SUMS, cv=3)) == 3


def test_data_frames():
    frame = pd.DataFrame(X[:, :, 0], columns=list("abcde"))
    fitted = RNNClassifier(**SMALL).fit(frame, pd.Series(WORDS))
    assert fitted.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[list("edcba")])
    with pytest.raises(ValueError, match="feature names"):
        fitted.partial_fit(frame, WORDS).partial_fit(frame[list("edcba")], WORDS)
    assert not hasattr(fitted.fit(X, WORDS), "feature_names_in_")


def test_indices_for_an_embedding():
    words = np.random.default_rng(1).integers(0, 6, (N, T))
    options = {**SMALL, "embedding_size": 2, "input_size": 6}
    fitted = RNNRegressor(**options).fit(words, SUMS)
    again = RNNRegressor(**options).fit(list(words), SUMS)
    assert same_bits(fitted.model_, again.model_)
    assert again.predict([[1], [2, 3]]).shape == (2,)
    with pytest.raises(ValueError, match=r"X must have shape \(N, T\), indices"):
        fitted.predict(X)


def test_data_are_checked():
    fitted = RNNRegressor(**SMALL).fit(X, SUMS)
    with pytest.raises(ValueError, match=r"X must have shape \(N, T\) or NTI; got \(1, 2, 3, 4\)"):
        fitted.predict(np.ones((1, 2, 3, 4)))
    with pytest.raises(ValueError, match=r"X\[1\] must have shape \(T, 2\)"):
        fitted.predict([X[0], np.ones((3, 4))])
    for masked in (np.ma.masked_array(X, X > 1), [X[0], np.ma.masked_array(X[1], X[1] > 1)]):
        with pytest.raises(TypeError, match="masked"):
            fitted.predict(masked)
    with pytest.raises(TypeError, match=r"X\[0\] must hold real numbers"):
        fitted.predict(["one", "two words"])
    with pytest.raises(ValueError, match="NaN"):
        fitted.predict(np.full_like(X, np.nan))
    unchecked = RNNRegressor(**SMALL, check_finite=False).fit(X, SUMS)
    assert np.isnan(unchecked.predict(np.full_like(X, np.nan))).all()


# ---------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "labels",
    [
        WORDS,
        WORDS.astype(object),
        SUMS > 0,
        np.where(SUMS > 0, -1, 7),
        np.digitize(SUMS, [-1.5, 1.5]) * 1.0,
    ],
    ids=["text", "objects", "bools", "numbers", "floats"],
)
def test_labels_of_any_kind(labels):
    fitted = RNNClassifier(**{**SMALL, "epochs": 400}).fit(X, labels)
    classes = np.unique(labels)
    assert np.array_equal(fitted.classes_, classes)
    predicted, probabilities = fitted.predict(X), fitted.predict_proba(X)
    assert predicted.dtype == labels.dtype and fitted.score(X, labels) > 0.8
    assert probabilities.shape == (N, len(classes))
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert np.array_equal(predicted, classes[probabilities.argmax(1)])
    np.testing.assert_array_equal(fitted.predict_log_proba(X), np.log(probabilities))
    decisions = fitted.decision_function(X)
    if len(classes) == 2:
        assert np.array_equal(predicted, classes[(decisions > 0).astype(int)])
    else:
        assert np.array_equal(predicted, classes[decisions.argmax(1)])


@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_labels_that_do_not_exclude_each_other(form):
    labels = np.stack([SUMS > 0, X[:, -1, 0] > 0, X[:, -1, 1] > 0], 1).astype(int)
    fitted = RNNClassifier(**SMALL).fit(X, form(labels))
    model = by_hand(y=labels, output_size=3, loss="bce")
    assert same_bits(fitted.model_, model)
    assert np.array_equal(fitted.classes_, [0, 1, 2])
    assert np.array_equal(fitted.predict(X), model.predict(X))
    assert fitted.predict_proba(X).shape == fitted.decision_function(X).shape == (N, 3)


def test_several_outputs():
    y = np.stack([SUMS, X[:, -1, 0]], 1)
    fitted = RNNRegressor(**SMALL).fit(X, y)
    assert same_bits(fitted.model_, by_hand(y=y, output_size=2))
    assert fitted.predict(X).shape == (N, 2) and fitted.predict(X).dtype == np.float64


def test_targets_that_are_missing():
    y = np.stack([SUMS, X[:, -1, 0]], 1)
    there = np.random.default_rng(1).random(y.shape) > 0.3
    holed, weights = np.where(there, y, np.nan), np.arange(1.0, N + 1)
    fitted = RNNRegressor(**SMALL, missing="nan").fit(X, holed)
    assert same_bits(fitted.model_, by_hand(y=holed, output_size=2, missing="nan"))
    assert fitted.score(X, y) == pytest.approx(r2_score(y, fitted.predict(X)), rel=1e-12)
    errors, spreads = [], []
    for k, some in enumerate(there.T):
        own = weights[some] / weights[some].sum()
        values, predicted = y[some, k], fitted.predict(X)[some, k]
        errors.append(own @ (values - predicted) ** 2)
        spreads.append(own @ (values - own @ values) ** 2)
    wanted = 1 - np.mean(np.divide(errors, spreads))
    assert fitted.score(X, holed, weights) == pytest.approx(wanted, rel=1e-12)
    search = GridSearchCV(fitted, {"hidden_size": [3]}, cv=2, error_score="raise")
    assert np.isfinite(search.fit(X, holed).best_score_)
    with pytest.raises(ValueError, match="y has no targets of output 1"):
        fitted.score(X, np.where([True, False], y, np.nan))
    with pytest.raises(ValueError, match="Input y contains NaN"):
        RNNRegressor(**SMALL).fit(X, holed)
    with pytest.raises(ValueError, match="missing must be one of 'nan'"):
        RNNRegressor(missing="NaN").fit(X, holed)


def test_labels_are_checked():
    with pytest.raises(ValueError, match="y must hold at least two classes; got 1 class, 'a'"):
        RNNClassifier().fit(X, np.full(N, "a", object))
    with pytest.raises(ValueError, match="Unknown label type"):
        RNNClassifier().fit(X, SUMS)
    with pytest.raises(ValueError, match="y"):
        RNNClassifier().fit(X, WORDS[:-1])


# --------------------------------------------------------------------------------------- weights


def test_weights():
    weights, numbers = np.arange(1.0, N + 1), np.searchsorted(np.unique(WORDS), WORDS)
    three = {"y": numbers, "output_size": 3, "loss": "cross_entropy"}
    fitted = RNNClassifier(**SMALL, class_weight={"up": 3, "down": 2}).fit(X, WORDS, weights)
    model = by_hand(**three, class_weight={0: 2, 2: 3}, sample_weight=weights)
    assert same_bits(fitted.model_, model)
    fitted = RNNClassifier(**SMALL, class_weight="balanced").fit(X, WORDS)
    assert same_bits(fitted.model_, by_hand(**three, class_weight="balanced"))
    with pytest.raises(ValueError, match=r"class_weight\['left'\] is none of the classes"):
        RNNClassifier(class_weight={"left": 1}).fit(X, WORDS)


def test_routing_of_weights():
    weights = np.arange(1.0, N + 1)
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = RNNRegressor(**SMALL).set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight=False)
        search = GridSearchCV(estimator, {"hidden_size": [3]}, cv=2)
        search.fit(X, SUMS, sample_weight=weights)
    assert same_bits(search.best_estimator_.model_, by_hand(sample_weight=weights))


# -------------------------------------------------------------------------------------- training


def test_partial_fit_goes_on():
    whole = RNNRegressor(**SMALL).fit(X, SUMS)
    parts = RNNRegressor(**SMALL)
    for _ in range(2):
        assert parts.partial_fit(X, SUMS) is parts
    assert same_bits(parts.model_, whole.model_)
    assert parts.loss_curve_ == whole.loss_curve_ == whole.history_.loss
    assert (parts.n_iter_, whole.n_iter_) == (1, 2)


def test_partial_fit_knows_its_classes():
    estimator = RNNClassifier(**SMALL)
    with pytest.raises(ValueError, match="classes must be given in the first call of partial_fit"):
        estimator.partial_fit(X, WORDS)
    some = WORDS != "up"
    estimator.partial_fit(X[some], WORDS[some], classes=["up", "down", "still"])
    assert estimator.classes_.tolist() == ["down", "still", "up"]
    assert estimator.partial_fit(X, WORDS, sample_weight=np.ones(N)).n_iter_ == 1
    with pytest.raises(ValueError, match="previously unseen labels"):
        estimator.partial_fit(X[:2], ["left", "up"])
    with pytest.raises(ValueError, match="classes must be .* as in the first call"):
        estimator.partial_fit(X, WORDS, classes=["up", "down"])
    with pytest.raises(ValueError, match="partial_fit is not for early_stopping; got 3"):
        estimator.set_params(early_stopping=3).partial_fit(X, WORDS)


def test_warm_start():
    estimator = RNNClassifier(**SMALL, warm_start=True, keep_optimizer=True).fit(X, WORDS)
    first = estimator.loss_curve_
    estimator.set_params(epochs=3, learning_rate=0.001).fit(X, WORDS)
    assert estimator.loss_curve_[:2] == first and len(estimator.loss_curve_) == 5
    assert estimator.n_iter_ == len(estimator.history_) == 3
    assert estimator.history_.learning_rate == [0.001] * 3
    whole = RNNClassifier(**{**SMALL, "epochs": 5}).fit(X, WORDS)
    assert first == whole.loss_curve_[:2]
    with pytest.raises(ValueError, match="hidden_size was 3 in the training that goes on; got 4"):
        estimator.set_params(hidden_size=4).fit(X, WORDS)
    estimator.set_params(hidden_size=3, warm_start=False).fit(X, WORDS)
    assert len(estimator.loss_curve_) == 3


@pytest.mark.parametrize("rule", [True, 2, EarlyStopping(patience=2)])
def test_early_stopping(rule):
    options = {**SMALL, "epochs": 300, "learning_rate": 0.5}
    fitted = RNNRegressor(**options, early_stopping=rule, validation_fraction=0.25)
    history = fitted.fit(X, SUMS).history_
    patience = 10 if rule is True else 2
    assert fitted.n_iter_ == int(np.argmin(history.val_loss)) + 1 + patience < 300
    fitted.set_params(validation_fraction=0).fit(X, SUMS)
    assert fitted.history_.val_loss is None and fitted.n_iter_ < 300


def test_each_class_is_held_out():
    rare = np.where(np.arange(N) < 2, "rare", "common")
    rule = EarlyStopping(patience=3, monitor="val_accuracy")
    fitted = RNNClassifier(**SMALL, early_stopping=rule, validation_fraction=0.25).fit(X, rare)
    assert len(fitted.history_.val_accuracy) == 2
    with pytest.raises(ValueError, match="class"):
        fitted.fit(X, np.where(np.arange(N) < 1, "rare", "common"))


def test_callbacks_can_stop():
    fitted = RNNRegressor(**SMALL, callbacks=[lambda model, history: True]).fit(X, SUMS)
    assert fitted.n_iter_ == 1
    assert clone(fitted).fit(X, SUMS).n_iter_ == 1


def test_a_failed_fit_is_not_fitted():
    estimator = RNNRegressor(**SMALL).fit(X, SUMS)
    with pytest.raises(DivergedError):
        estimator.set_params(optimizer="sgd", learning_rate=1e30, epochs=50).fit(X, SUMS)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


def test_pickles_and_pictures():
    fitted = RNNClassifier(**SMALL).fit(X, WORDS)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.partial_fit(X, WORDS).n_iter_ == 1
    assert repr(fitted) == "RNNClassifier(epochs=2, hidden_size=3, random_state=0)"
    assert "RNNClassifier" in fitted._repr_html_()


def test_a_fit_from_a_warm_cache_needs_no_numba():
    code = """if True:
        import sys
        import numpy as np
        from rnn_fast.sklearn import RNNRegressor
        from rnn_fast.tuning import TUNING, tuned
        X = np.random.default_rng(0).standard_normal((24, 5, 2))
        with tuned(tiles={n: tiles[:1] for n, tiles in TUNING.tiles.items()}):
            RNNRegressor(hidden_size=3, epochs=2).fit(X, X.sum((1, 2))).predict(X)
        print("numba" in sys.modules)
    """
    for _ in range(2):  # the first may compile
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False"]
