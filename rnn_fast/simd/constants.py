"""Constants of the elementary functions, for each dtype."""

from __future__ import annotations

from typing import NamedTuple

from numba import types


class Constants(NamedTuple):
    """Constants of one dtype."""

    magic: float  # 1.5 * 2**mantissa bits: x + magic rounds x to an integer in its low bits
    bias: int  # of an exponent
    high: float  # ln 2 = high + low
    low: float
    expm1: tuple[float, ...]  # coefficients of (expm1(r) - r) / r**2 in r, lowest first
    short: tuple[float, ...]  # those for a table's smaller r
    atanh: tuple[float, ...]  # coefficients of (atanh(s) / s - 1) / s**2 in s**2
    zero: float  # exp(x) is 0 from here down, since the bits of its exponent are
    infinite: float  # exp(x) is infinite from here up, since the bits of its exponent are
    one: float  # tanh(x) rounds to 1 from here up


def _atanh(terms: int) -> tuple[float, ...]:
    return tuple(1 / (2 * k + 1) for k in range(1, terms + 1))


CONSTANTS = {
    types.float32: Constants(
        magic=12582912.0,
        bias=127,
        high=0.693359375,
        low=-2.12194440e-4,
        # least largest relative error of expm1 on |r| <= ln(2) / 2, 1.3e-8: one term less than
        # Taylor's series needs
        expm1=(
            0.49999998132521006,
            0.16666542678598592,
            0.041667204067652924,
            0.008366647354765788,
            0.0013882487293264013,
        ),
        # least largest error of exp on |r| <= ln(2) / 32, 2.3e-9
        short=(0.5000195890307215, 0.16667058445526933),
        atanh=_atanh(5),
        zero=-88.03,
        infinite=88.5,
        one=9.3,
    ),
    types.float64: Constants(
        magic=6755399441055744.0,
        bias=1023,
        high=6.93147180369123816490e-01,
        low=1.90821492927058770002e-10,
        # least largest relative error of expm1 on |r| <= ln(2) / 2, 2.6e-19
        expm1=(
            0.5,
            0.16666666666666677,
            0.04166666666666651,
            0.008333333333321702,
            0.00138888888889623,
            0.00019841269885938507,
            2.4801587172641975e-05,
            2.755724440471733e-06,
            2.755740258864728e-07,
            2.510896729313972e-08,
            2.087533581808052e-09,
        ),
        # least largest relative error of expm1 on |r| <= ln(2) / 16, 3.1e-19
        short=(
            0.5,
            0.16666666666667002,
            0.04166666666666392,
            0.008333333322482466,
            0.0013888888912596167,
            0.0001984226527613516,
            2.4801502563051252e-05,
        ),
        atanh=_atanh(11),
        zero=-709.09,
        infinite=709.5,
        one=19.1,
    ),
}

# tanh(x) of float32, ``c0 + c1 d + ... + c5 d**5`` with d = x - centre, in 16 intervals, lowest
# first: quarters of an octave of ``1 + TANH_SCALE x``, which end at 9.3.  Least largest relative
# error in each (Lawson's weights), at most 0.36 ULP; the centre is that number of the middle tenth
# of an interval whose tanh lies nearest to a float32, c0, which halves the error of the result.
TANH_SCALE = 1.61274
TANH = (
    (0.0, 0.0, 1.0, 9.073182e-7, -0.33338565, 8.949746e-4, 0.12821718),
    (0.22969137, 0.22573547, 0.9490435, -0.21423173, -0.2679874, 0.13134493, 0.08020131),
    (0.38351628, 0.36575726, 0.8662216, -0.3168258, -0.17285395, 0.16826577, 0.0141545385),
    (0.54876024, 0.49959046, 0.75040936, -0.37489682, -0.0628523, 0.15605015, -0.038413603),
    (0.7691595, 0.64644045, 0.5821148, -0.37630287, 0.049206622, 0.093667865, -0.06305118),
    (1.0901862, 0.7969461, 0.36487684, -0.29079184, 0.11013305, 9.798951e-3, -0.03666383),
    (1.3854203, 0.88215923, 0.22179513, -0.19566108, 0.0986607, -0.021480491, -8.349761e-3),
    (1.7174072, 0.93755007, 0.12099985, -0.11344399, 0.06603133, -0.024010206, 2.9668533e-3),
    (2.1744723, 0.97448874, 0.0503717, -0.04908419, 0.031044533, -0.013974105, 4.2821076e-3),
    (2.801588, 0.9926548, 0.014636507, -0.014526955, 9.539237e-3, -4.6974528e-3, 1.7948241e-3),
    (3.3887107, 0.9977242, 4.5464444e-3, -4.535426e-3, 3.011942e-3, -1.5154978e-3, 5.706635e-4),
    (4.002919, 0.9993332, 1.3331396e-3, -1.3320555e-3, 8.876524e-4, -4.4953215e-4, 1.6954512e-4),
    (4.9913116, 0.9999076, 1.8482235e-4, -1.8422204e-4, 1.221572e-4, -6.597153e-5, 2.8062905e-5),
    (6.1899576, 0.9999916, 1.6809183e-5, -1.6759117e-5, 1.1188288e-5, -6.013059e-6, 2.3530724e-6),
    (7.381863, 0.9999992, 1.5493922e-6, -1.5458374e-6, 1.0384382e-6, -5.5107614e-7, 1.9705296e-7),
    (8.664339, 0.99999994, 1.1921088e-7, -1.1886492e-7, 7.941622e-8, -4.2630113e-8, 1.650957e-8),
)
