"""Speed of rnn_fast, PyTorch, JAX, Keras, onnxruntime and NumPy here: ``rnn-fast bench``.

1. `rows` lists the workloads, and `problems` draws data and initial parameters.
2. `checks` compares each contender with the float64 `textbook`.
3. `contenders` collects rnn_fast and the `peers`, and `timing` times them in turn.
4. `worker` does steps 1 to 3 in a separate process. `run` starts this process and sets its thread
   limits; the process pins itself to one core.
5. The worker returns `results`. `report` prints the `tables` of one run, or a summary of several
   `runs`; `plot` draws a chart.

The subjects are `steps`, `stream`, `ragged`, `adding` and `threads`. Importing this package imports
none of its modules.
"""
