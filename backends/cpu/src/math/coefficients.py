"""Derives every polynomial and rational coefficient of backends/cpu/src/math.

Run: pip install mpmath && python3 coefficients.py [name ...]     (no name: all tables, about two minutes)
It prints Rust arrays and the largest weighted error of each fit before and after rounding its coefficients.

Method: polynomials by the Remez exchange in 40 digits on a weighted error (Muller, Elementary Functions, chapter 3),
quotients by iterated linear least squares over Chebyshev extrema (Sanathanan and Koerner, 1963), which comes within a
few tenths of the best. A table for f32 or f64 is then rounded from the lowest power upwards; after each rounding the remaining powers are fitted again,
so that the rounding error of one coefficient is absorbed by the next.
"""

import struct
import sys

from mpmath import mp, mpf

mp.dps = 40
GRID = 1200


def to_single(value):
    return mpf(struct.unpack("f", struct.pack("f", float(value)))[0])


def to_double(value):
    return mpf(float(value))


def points(low, high, count):
    """Chebyshev extrema: dense at both ends, where the error of a fit moves fastest."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]


def alternation(errors, count):
    """Indices of `count` alternating extrema of a sampled error, the largest ones kept."""
    runs = []
    for i, error in enumerate(errors):
        if runs and (errors[runs[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > count:
        if len(runs) == count + 1:
            runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
        else:
            least = min(range(len(runs) - 1), key=lambda j: max(abs(errors[runs[j]]), abs(errors[runs[j + 1]])))
            del runs[least : least + 2]
    return runs if len(runs) == count else None


class Fit:
    """Minimax P(x)/Q(x), Q(0) = 1, of `goal` on an interval under `weight`; `low_power` is P's lowest power."""

    def __init__(self, goal, weight, interval, powers, below=0):
        self.xs = points(mpf(interval[0]), mpf(interval[1]), GRID)
        # A sample at a removable singularity of the goal is moved by a little.
        tiny = mpf(10) ** -18
        self.xs = [x if abs(x) > tiny else tiny for x in self.xs]
        self.goal = [goal(x) for x in self.xs]
        self.weight = [weight(x) for x in self.xs]
        self.powers, self.below = list(powers), below

    def value(self, coefficients, denominator, x):
        top = sum(c * x**p for p, c in coefficients.items())
        return top / (1 + sum(c * x**p for p, c in denominator.items()))

    def errors(self, top, bottom):
        return [w * (self.value(top, bottom, x) - g) for x, g, w in zip(self.xs, self.goal, self.weight)]

    def solve(self, fixed_top, fixed_bottom):
        """One Remez run with some coefficients fixed; gives (top, bottom, error)."""
        free = [p for p in self.powers if p not in fixed_top]
        under = [p for p in range(1, self.below + 1) if p not in fixed_bottom]
        unknown = len(free) + len(under) + 1
        if unknown == 1:
            top, bottom = dict(fixed_top), dict(fixed_bottom)
            return top, bottom, max(map(abs, self.errors(top, bottom)))
        if under:
            top, bottom = self.least_squares(free, under, fixed_top, fixed_bottom)
            return top, bottom, max(map(abs, self.errors(top, bottom)))
        # Grid points are Chebyshev extrema already: equal steps in the index.
        chosen = [round((GRID - 1) * i / (unknown - 1)) for i in range(unknown)]
        best = None
        for _ in range(12):
            top, bottom, level = self.system(chosen, free, fixed_top, fixed_bottom)
            errors = self.errors(top, bottom)
            worst = max(map(abs, errors))
            if best is None or worst < best[2]:
                best = (top, bottom, worst)
            if worst <= abs(level) * mpf("1.002"):
                break
            chosen = alternation(errors, unknown)
            if chosen is None:
                break
        return best

    def least_squares(self, free, under, fixed_top, fixed_bottom):
        """A start for a quotient: the linear problem, weighted by the denominator of the step before."""
        top, bottom = {}, {}
        for _ in range(8):
            rows, right = [], []
            for i in range(0, GRID, 6):
                x, aim = self.xs[i], self.goal[i]
                scale = self.weight[i] / (1 + sum(c * x**p for p, c in bottom.items()))
                rows.append([scale * x**p for p in free] + [-scale * aim * x**p for p in under])
                known = aim - sum(c * x**p for p, c in fixed_top.items())
                right.append(scale * (known + aim * sum(c * x**p for p, c in fixed_bottom.items())))
            matrix = mp.matrix(rows)
            answer = mp.lu_solve(matrix.T * matrix, matrix.T * mp.matrix(right))
            top = dict(fixed_top) | {p: answer[j] for j, p in enumerate(free)}
            bottom = dict(fixed_bottom) | {p: answer[len(free) + j] for j, p in enumerate(under)}
        return top, bottom

    def system(self, chosen, free, fixed_top, bottom):
        """The polynomial whose error alternates, with one size, over the chosen samples."""
        size = len(chosen)
        matrix, right = mp.matrix(size, size), mp.matrix(size, 1)
        for row, i in enumerate(chosen):
            x, below = self.xs[i], 1 + sum(c * self.xs[i] ** p for p, c in bottom.items())
            for column, p in enumerate(free):
                matrix[row, column] = x**p / below
            matrix[row, size - 1] = -((-1) ** row) / self.weight[i]
            right[row] = self.goal[i] - sum(c * x**p for p, c in fixed_top.items()) / below
        answer = mp.lu_solve(matrix, right)
        top = dict(fixed_top) | {p: answer[j] for j, p in enumerate(free)}
        return top, dict(bottom), answer[size - 1]

    def rounded(self, to_format):
        """The ideal fit, then the fit with coefficients of the format."""
        _, _, ideal = self.solve({}, {})
        top, bottom = {}, {}
        for power in range(max(max(self.powers), self.below) + 1):
            if power in self.powers:
                top[power] = to_format(self.solve(top, bottom)[0][power])
            if 1 <= power <= self.below:
                bottom[power] = to_format(self.solve(top, bottom)[1][power])
        return top, bottom, ideal, max(map(abs, self.errors(top, bottom)))


def show(name, values):
    print(f"pub(super) const {name}: [f64; {len(values)}] = [")
    for value in values:
        print(f"    {float(value)!r},")
    print("];")


def report(name, fit, to_format):
    top, bottom, ideal, reached = fit.rounded(to_format)
    print(f"// {name}: weighted error {mp.nstr(ideal, 3)}, with rounded coefficients {mp.nstr(reached, 3)}")
    show(name, [top[p] for p in sorted(top)])
    if bottom:
        show(name + "_BELOW", [mpf(1)] + [bottom[p] for p in sorted(bottom)])


LN2 = mp.log(2)
ROOT = mp.sqrt(2)


def exp_tail(x):
    return (mp.expm1(x) - x) / x**2


def relative_expm1(x):
    return abs(x**2 / mp.expm1(x))


def log_tail(f):
    return (mp.log1p(f) - f) / f**2


def relative_log(f):
    return abs(f**2 / mp.log1p(f))


def atanh_tail(z):
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def pow_tail(z):
    return (atanh_tail(z) - mpf(2) / 3) / z


def erf_over_x(z):
    x = mp.sqrt(z)
    return mp.erf(x) / x


def erfcx(a):
    return mp.exp(a * a) * mp.erfc(a)


def sin_tail(z):
    x = mp.sqrt(z)
    return (mp.sin(x) - x) / (x * z)


def cos_tail(z):
    return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2


def short(bits):
    """Rounding down to so many bits, so that the product with a count of 24 or 53 less bits is exact."""

    def to_format(value):
        unit = mpf(2) ** (bits - 1 - mp.floor(mp.log(abs(value), 2)))
        return mp.floor(value * unit) / unit

    return to_format


def expansion(value, formats):
    """The value as a sum of numbers, each the rest rounded to the next format."""
    parts = []
    for to_format in formats:
        parts.append(to_format(value))
        value -= parts[-1]
    return parts


def powers():
    """2^(k/16) for the sixteenths of an octave, and e^r = 1 + r + r^2 (1/2 + r/6) on a sixteenth, by Taylor."""
    show("POWERS_F32", [to_single(mpf(2) ** (mpf(k) / 16)) for k in range(16)])
    show("EXP_SHORT_F32", [to_single(mpf(1) / 2), to_single(mpf(1) / 6)])


def right_angle():
    """pi/2 in parts, for targets with and without fma."""
    show("RIGHT_ANGLE_F32", expansion(mp.pi / 2, [to_single] * 3))
    show("RIGHT_ANGLE_F64", expansion(mp.pi / 2, [to_double] * 3))
    show("RIGHT_ANGLE_SHORT_F32", expansion(mp.pi / 2, [short(8)] * 6 + [to_single]))
    show("RIGHT_ANGLE_SHORT_F64", expansion(mp.pi / 2, [short(23)] * 4 + [to_double]))


def far(name, least, width, count, pieces, mantissa_bits, to_format):
    """2/pi times 2^shift, modulo 4, in pieces, for each range of large arguments (Payne and Hanek, 1983)."""
    print(f"pub(super) const {name}: [[f64; {pieces}]; {count}] = [")
    for j in range(count):
        shift = least + width * j - mantissa_bits
        value = mpf(2) ** shift * 2 / mp.pi
        value -= 4 * mp.nint(value / 4)
        print("    [")
        for part in expansion(value, [to_format] * pieces):
            print(f"        {float(part)!r},")
        print("    ],")
    print("];")


NARROW = (-LN2 / 2 * mpf("1.001"), LN2 / 2 * mpf("1.001"))
HALF = (mpf("-0.5"), mpf("0.5"))
MANTISSA = (1 / ROOT - 1, ROOT - 1)
EIGHTH = (mpf(10) ** -16, (mp.pi / 4 * mpf("1.001")) ** 2)
Z_ATANH = (mpf(10) ** -16, ((ROOT - 1) / (ROOT + 1)) ** 2)
Z_POW = (mpf(10) ** -9, Z_ATANH[1])

TABLES = {
    "EXP_F32": lambda: (Fit(exp_tail, relative_expm1, NARROW, range(5)), to_single),
    "EXP_F64": lambda: (Fit(exp_tail, relative_expm1, NARROW, range(11)), to_double),
    "EXP2_F32": lambda: (Fit(lambda x: (2**x - 1) / x, lambda x: abs(x) * 2**-x, HALF, range(6)), to_single),
    "EXP2_F64": lambda: (Fit(lambda x: (2**x - 1) / x, lambda x: abs(x) * 2**-x, HALF, range(12)), to_double),
    "LOG_F32": lambda: (Fit(log_tail, relative_log, MANTISSA, range(8)), to_single),
    "LOG2_F32": lambda: (Fit(lambda f: log_tail(f) / LN2, lambda f: relative_log(f) * LN2, MANTISSA, range(8)), to_single),
    "LOG_F64": lambda: (Fit(atanh_tail, lambda z: z / 2, Z_ATANH, range(7)), to_double),
    "POW_F32": lambda: (Fit(pow_tail, lambda z: z**2 / 2, Z_POW, range(3)), to_single),
    "POW_F64": lambda: (Fit(pow_tail, lambda z: z**2 / 2, Z_POW, range(9)), to_double),
    "ERF_SMALL_F32": lambda: (
        Fit(
            lambda z: erf_over_x(z) - 1,
            lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
            (mpf(10) ** -16, mpf(1)),
            range(6),
        ),
        to_single,
    ),
    "ERF_LARGE_F32": lambda: (
        Fit(
            lambda a: mp.log(mp.erfc(a), 2) / a,
            lambda a: a * LN2 * mp.erfc(a) / mp.erf(a),
            (mpf(1), mpf(4)),
            range(5),
        ),
        to_single,
    ),
    "EXP2_SHORT_F32": lambda: (Fit(lambda x: (2**x - 1) / x, lambda x: abs(x) * 2**-x, HALF, range(5)), to_single),
    "ERF_SMALL_F64": lambda: (
        Fit(
            lambda z: erf_over_x(z) - 1,
            lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
            (mpf(10) ** -16, mpf(1)),
            range(14),
        ),
        to_double,
    ),
    "ERF_LARGE_F64": lambda: (
        Fit(erfcx, lambda a: mp.exp(-a * a) / mp.erf(a), (mpf(1), mpf(6)), range(6), 6),
        to_double,
    ),
    "SIN_F32": lambda: (Fit(sin_tail, lambda z: z, EIGHTH, range(3)), to_single),
    "COS_F32": lambda: (Fit(cos_tail, lambda z: z**2, EIGHTH, range(3)), to_single),
    "SIN_F64": lambda: (Fit(sin_tail, lambda z: z, EIGHTH, range(6)), to_double),
    "COS_F64": lambda: (Fit(cos_tail, lambda z: z**2, EIGHTH, range(6)), to_double),
}

if __name__ == "__main__":
    for table in sys.argv[1:] or TABLES:
        report(table, *TABLES[table]())
    if not sys.argv[1:]:
        powers()
        mp.dps = 450
        right_angle()
        far("FAR_F32", 16, 40, 3, 5, 23, to_single)
        far("FAR_F64", 30, 143, 7, 6, 52, to_double)
