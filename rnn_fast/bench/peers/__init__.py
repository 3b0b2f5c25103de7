"""The same work as its expert would write it in NumPy, PyTorch, JAX and Keras.

All train the network of a `rows.Row`: layers of tanh, GRU or LSTM cells from a state of zero, with
logits ``Why h_T + by``, or those of every step, on the mean binary cross-entropy, by exact BPTT and
plain SGD. Each module gives

``ways(problem, quick)``
    ways to do an epoch, one update for each of ``problem.x`` in order, by name; the fastest counts,
    and no way is not to take part. `quick` leaves out those that are slow to compile;
``loss_and_gradients(row, params, x (B, T, I), y (B, O) or (B, T, O))``
    the mean loss and its gradient by name, so that what is timed can be checked first.

Whatever layout of the data suits a framework best is prepared outside the time that is measured.

**One thread.** The limits of `ONE_THREAD` are read when a library starts, so they are in the
environment of the process that imports these modules. JAX (0.10) has no documented one: with
``--xla_cpu_multi_thread_eigen=false`` and ``intra_op_parallelism_threads=1`` in ``XLA_FLAGS`` a
product still keeps two cores busy. ``PJRT_NPROC=1`` makes its pool one thread, and so does pinning
the process to one core beforehand.
"""

ONE_THREAD = {
    "RNN_FAST_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PJRT_NPROC": "1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # else its compilers wait as processes beside the timing
}

#: Modules by their names in the report.
PEERS = {"JAX": "jax_rnn", "PyTorch": "torch_rnn", "Keras": "keras_rnn", "NumPy": "numpy_rnn"}
