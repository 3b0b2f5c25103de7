"""Memory of a network: its parameters, the work memory of both drivers, and the tables they read.

A network is a stack of layers, each read in one direction or both; one layer in one direction is a
*run*.  The parameters of a run are a matrix and the vectors of its cell; the read-out, the initial
state and the embedding follow, all in one flat vector::

    W (G H, I + 1 + H)   columns [Wxh | bh | Whh]    a_t = W z_t,   z_t = [x_t; 1; h_{t-1}]
    V (O, 1 + D H)       columns [by | Why]          logits = V [1; y_t]

A bias is the weight of a constant one, so a layer is one product and one gradient.

The drivers know no cell.  Tables say which rows of W meet which rows of z_t, forward and backward:
Python derives them from the cell's declaration, the kernels read them.  A driver's work memory is
one array, and the sizes of its buffers are said here, once.
"""
