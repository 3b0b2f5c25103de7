"""Quality that speed must not cost: the error of a trained network."""

from __future__ import annotations

from rnn_fast import LSTM, SGD, tasks


class Adding:
    """Mean squared error on new sequences of the adding problem, 30 steps, after 6 epochs.

    A constant output of 1 has an error of 0.167.
    """

    unit = "mean squared error"
    timeout = 120

    def track_error(self) -> float:
        task = tasks.Adding(steps=30)
        X, y = task.draw(16_000, seed=0)
        model = LSTM(hidden_size=8, seed=0, **task.network)
        optimizer = SGD(momentum=0.9)
        fit = {"batch_size": 32, "optimizer": optimizer, "learning_rate": 0.3, "verbose": False}
        model.fit(X, y, epochs=6, **fit)
        return model.evaluate(*task.draw(2000, seed=1))["loss"]
