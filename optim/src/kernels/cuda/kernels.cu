// The kernels on NVIDIA GPUs: one pass over all vectors of an update, or over the curvature pairs
// of L-BFGS.
//
// The arithmetic is that of the CPU's kernels, operation by operation; without fused multiply-add
// (the build script compiles with --fmad=false) an update gives the same bits. Sums run over the
// elements of a thread, then over the threads of a block, then over blocks, each in a fixed order
// that depends on the length alone: the same bits on every run. The launches are in mod.rs;
// structures are laid out alike there.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

typedef unsigned long long Address;

// Threads of a block; the launches must agree.
constexpr unsigned THREADS = 256;
// Elements that a thread loads before it uses them, and adds up before the sum goes to f64.
constexpr unsigned ELEMENTS = 4;
// Stored pairs that a block multiplies at once: as many products as a thread's registers hold.
constexpr unsigned GROUP = 5;

using f32 = float;
using f64 = double;
using f16 = __half;
using bf16 = __nv_bfloat16;

// The type of the arithmetic beside elements of type T.
template <class T> struct Arithmetic { using Real = f32; };
template <> struct Arithmetic<f64> { using Real = f64; };
template <class T> using Real = typename Arithmetic<T>::Real;

__device__ inline f32 widen(f32 value) { return value; }
__device__ inline f64 widen(f64 value) { return value; }
__device__ inline f32 widen(f16 value) { return __half2float(value); }
__device__ inline f32 widen(bf16 value) { return __bfloat162float(value); }

template <class T> __device__ inline T narrow(Real<T> value) { return value; }
template <> __device__ inline f16 narrow<f16>(f32 value) { return __float2half_rn(value); }
template <> __device__ inline bf16 narrow<bf16>(f32 value) { return __float2bfloat16_rn(value); }

// `change` where the gradient is finite, else zero.
template <class R> __device__ inline R guarded(R gradient, R change) {
    return gradient * R(0) == R(0) ? change : R(0);
}

template <class R> __device__ inline R larger(R a, R b) { return b > a ? b : a; }
template <class R> __device__ inline R smaller(R a, R b) { return b < a ? b : a; }

// The largest finite number of T.
template <class T> struct Largest;
template <> struct Largest<f32> { static constexpr f32 VALUE = 3.40282346638528859812e38f; };
template <> struct Largest<f64> { static constexpr f64 VALUE = 1.7976931348623157e308; };
template <> struct Largest<f16> { static constexpr f32 VALUE = 65504.0f; };
template <> struct Largest<bf16> { static constexpr f32 VALUE = 3.38953138925153547591e38f; };

// What the gradient is held to before it is squared: 2^63 and 2^480, as on the CPU.
template <class R> struct SquareLimit;
template <> struct SquareLimit<f32> { static constexpr f32 VALUE = 9223372036854775808.0f; };
template <> struct SquareLimit<f64> { static constexpr f64 VALUE = 0x1p480; };

// `value` within +-`bound`; NaN stays.
template <class R> __device__ inline R clamped(R value, R bound) {
    return smaller(larger(value, -bound), bound);
}

// A coefficient as the finite number of type R next to it.
template <class R> __device__ inline R coefficient(f64 value) {
    return R(clamped(value, f64(Largest<R>::VALUE)));
}

// `step`, or zero where it is not finite.
template <class R> __device__ inline R finite_or_zero(R step) { return guarded(step, step); }

// The finite number of type T next to `value`, which is not NaN.
template <class T> __device__ inline T saturate(Real<T> value) {
    return narrow<T>(clamped(value, Real<T>(Largest<T>::VALUE)));
}

// Writes one number for each of the first `columns` of `values`, taken over the threads of the
// block: the sum, or from column `sums` on the largest.
template <unsigned COLUMNS>
__device__ void reduce(const f64 (&values)[COLUMNS], unsigned sums, f64 *out, unsigned columns = COLUMNS) {
    __shared__ f64 shared[COLUMNS][THREADS];
#pragma unroll
    for (unsigned column = 0; column < COLUMNS; ++column) shared[column][threadIdx.x] = values[column];
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            for (unsigned column = 0; column < COLUMNS; ++column) {
                f64 a = shared[column][threadIdx.x], b = shared[column][threadIdx.x + half];
                shared[column][threadIdx.x] = column < sums ? a + b : larger(a, b);
            }
        }
        __syncthreads();
    }
    if (threadIdx.x < columns) out[threadIdx.x] = shared[threadIdx.x][0];
}

// Block c reduces column c of `partials`, which has one row for each block of the kernel before: to
// the sum, or from column `sums` on to the largest.
extern "C" __global__ void totals(const f64 *partials, unsigned rows, unsigned sums, f64 *out) {
    unsigned column = blockIdx.x, columns = gridDim.x;
    bool sum = column < sums;
    f64 value[1] = {0};
    for (unsigned row = threadIdx.x; row < rows; row += THREADS) {
        f64 next = partials[row * columns + column];
        value[0] = sum ? value[0] + next : larger(value[0], next);
    }
    reduce(value, sum, out + column);
}

// A run of elements of one parameter: addresses of its first element in each vector of the
// operation, 0 for a vector that is not used; the number of elements; the parameter group.
struct Run {
    Address vectors[5];
    unsigned length;
    unsigned group;
};

template <class T> __device__ inline T *at(Address address) { return reinterpret_cast<T *>(address); }

// First-order updates: a block for each run. Vectors: parameters, gradient, state. Every block
// leaves its gradient's sum of squares in `sums`.

struct AdamCoefficients {
    f64 l2, rate1, rate2, decay, own, carried, step_size, scale, epsilon;
};

template <class P>
__device__ void adam(const Run *runs, const AdamCoefficients *groups, f64 *sums) {
    using R = Real<P>;
    const Run run = runs[blockIdx.x];
    const AdamCoefficients group = groups[run.group];
    const R l2 = coefficient<R>(group.l2), decay = coefficient<R>(group.decay);
    const R rate1 = coefficient<R>(group.rate1), rate2 = coefficient<R>(group.rate2);
    const R own = coefficient<R>(group.own), carried = coefficient<R>(group.carried);
    const R step_size = coefficient<R>(group.step_size), scale = coefficient<R>(group.scale);
    const R epsilon = coefficient<R>(group.epsilon);
    P *__restrict__ parameters = at<P>(run.vectors[0]);
    const P *__restrict__ gradient = at<P>(run.vectors[1]);
    R *__restrict__ first = at<R>(run.vectors[2]);
    R *__restrict__ second = at<R>(run.vectors[3]);
    R *__restrict__ maximum = at<R>(run.vectors[4]);
    f64 sum[1] = {0};
#pragma unroll 4
    for (unsigned i = threadIdx.x; i < run.length; i += THREADS) {
        const R p = widen(parameters[i]), g = widen(gradient[i]);
        R m = first[i], v = second[i];
        const R decayed = clamped(g + l2 * p, SquareLimit<R>::VALUE);
        m = m + guarded(g, rate1 * (decayed - m));
        v = v + guarded(g, rate2 * (decayed * decayed - v));
        first[i] = m;
        second[i] = v;
        if (maximum) {
            const R most = maximum[i];
            v = v > most ? v : most;
            maximum[i] = v;
        }
        const R direction = own * decayed + carried * m;
        const R step = finite_or_zero(step_size * direction / (scale * sqrt(v) + epsilon));
        parameters[i] = saturate<P>(p - guarded(g, decay * p + step));
        sum[0] += f64(g) * f64(g);
    }
    reduce(sum, 1, sums + blockIdx.x);
}

struct SgdCoefficients {
    f64 l2, inflow, outflow, own, carried, step_size;
};

template <class P>
__device__ void sgd(const Run *runs, const SgdCoefficients *groups, f64 *sums) {
    using R = Real<P>;
    const Run run = runs[blockIdx.x];
    const SgdCoefficients group = groups[run.group];
    const R l2 = coefficient<R>(group.l2), step_size = coefficient<R>(group.step_size);
    const R inflow = coefficient<R>(group.inflow), outflow = coefficient<R>(group.outflow);
    const R own = coefficient<R>(group.own), carried = coefficient<R>(group.carried);
    P *__restrict__ parameters = at<P>(run.vectors[0]);
    const P *__restrict__ gradient = at<P>(run.vectors[1]);
    R *__restrict__ momentum = at<R>(run.vectors[2]);
    f64 sum[1] = {0};
#pragma unroll 4
    for (unsigned i = threadIdx.x; i < run.length; i += THREADS) {
        const R p = widen(parameters[i]), g = widen(gradient[i]);
        R direction = g + l2 * p;
        if (momentum) {
            direction = clamped(direction, Largest<R>::VALUE);
            R b = momentum[i];
            b = clamped(b + guarded(g, inflow * direction - outflow * b), Largest<R>::VALUE);
            momentum[i] = b;
            direction = own * direction + carried * b;
        }
        const R step = finite_or_zero(step_size * direction);
        parameters[i] = saturate<P>(p - guarded(g, step));
        sum[0] += f64(g) * f64(g);
    }
    reduce(sum, 1, sums + blockIdx.x);
}

// The sum of squares alone; vectors: the elements.
template <class P> __device__ void squares(const Run *runs, f64 *sums) {
    const Run run = runs[blockIdx.x];
    const P *__restrict__ elements = at<P>(run.vectors[0]);
    f64 sum[1] = {0};
#pragma unroll 4
    for (unsigned i = threadIdx.x; i < run.length; i += THREADS) {
        const f64 value = widen(elements[i]);
        sum[0] += value * value;
    }
    reduce(sum, 1, sums + blockIdx.x);
}

// Passes of L-BFGS. A pair is s, then y, each of d elements of the history's type H.

// Makes the pair s = step*direction, y = theta*(after - before) + w*s. Sums: of s with s, y and the
// gradient, of y with y, D*y and D*gradient.
template <class H>
__device__ void new_pair(
    const Real<H> *direction, const Real<H> *before, const Real<H> *after, const Real<H> *gradient,
    const Real<H> *diagonal, Address d, f64 step_, f64 theta_, f64 w_, H *pair, f64 *partials
) {
    using R = Real<H>;
    const R step = step_, theta = theta_, w = w_;
    f64 sums[6] = {0};
    for (Address tile = blockIdx.x * Address(THREADS * ELEMENTS); tile < d;
         tile += gridDim.x * Address(THREADS * ELEMENTS)) {
        R part[6] = {0};
#pragma unroll
        for (unsigned k = 0; k < ELEMENTS; ++k) {
            const Address i = tile + k * THREADS + threadIdx.x;
            if (i >= d) break;
            // Products are those of the pair as stored, rounded to the history's type.
            const R move = step * direction[i];
            const H s_stored = narrow<H>(move);
            const H y_stored = narrow<H>(theta * (after[i] - before[i]) + w * move);
            pair[i] = s_stored;
            pair[d + i] = y_stored;
            const R s = widen(s_stored), y = widen(y_stored), g = gradient[i];
            const R scale = diagonal ? diagonal[i] : R(1);
            part[0] += s * s;
            part[1] += s * y;
            part[2] += s * g;
            part[3] += y * y;
            part[4] += y * (y * scale);
            part[5] += y * (g * scale);
        }
#pragma unroll
        for (unsigned column = 0; column < 6; ++column) sums[column] += part[column];
    }
    reduce(sums, 6, partials + blockIdx.x * 6);
}

// Multiplies pairs with y and the gradient; block (x, y) takes group x of them over the tiles y, y
// + gridDim.y, and so on, so that groups of one tile find y and the gradient in the GPU's cache.
// Sums, for each pair: of its s with y and the gradient, of its y with D*y and D*gradient; those
// with y are 0 where there is none.
template <class H>
__device__ void row_products(
    const Address *pairs, unsigned count, const H *y, const Real<H> *gradient, const Real<H> *diagonal,
    Address d, f64 *partials
) {
    using R = Real<H>;
    const unsigned first = blockIdx.x * GROUP;
    f64 sums[4 * GROUP] = {0};
    for (Address tile = blockIdx.y * Address(THREADS * ELEMENTS); tile < d;
         tile += gridDim.y * Address(THREADS * ELEMENTS)) {
        R own[ELEMENTS], slope[ELEMENTS], scaled_own[ELEMENTS], scaled_slope[ELEMENTS];
#pragma unroll
        for (unsigned k = 0; k < ELEMENTS; ++k) {
            const Address i = tile + k * THREADS + threadIdx.x;
            const bool inside = i < d;
            const R scale = inside && diagonal ? diagonal[i] : R(1);
            own[k] = inside && y ? widen(y[i]) : R(0);
            slope[k] = inside ? gradient[i] : R(0);
            scaled_own[k] = own[k] * scale;
            scaled_slope[k] = slope[k] * scale;
        }
#pragma unroll
        for (unsigned r = 0; r < GROUP; ++r) {
            if (first + r >= count) continue;
            const H *pair = at<H>(pairs[first + r]);
            R part[4] = {0};
#pragma unroll
            for (unsigned k = 0; k < ELEMENTS; ++k) {
                const Address i = tile + k * THREADS + threadIdx.x;
                if (i >= d) break;
                const R s_row = widen(pair[i]), y_row = widen(pair[d + i]);
                part[0] += s_row * own[k];
                part[1] += s_row * slope[k];
                part[2] += y_row * scaled_own[k];
                part[3] += y_row * scaled_slope[k];
            }
#pragma unroll
            for (unsigned column = 0; column < 4; ++column) sums[4 * r + column] += part[column];
        }
    }
    // The last group may have fewer pairs.
    const unsigned own_columns = 4 * (count - first < GROUP ? count - first : GROUP);
    reduce(sums, 4 * GROUP, partials + (Address(blockIdx.y) * count + first) * 4, own_columns);
}

// A stored pair and the weights of its s and y in a direction.
struct WeightedPair {
    Address pair;
    f64 s, y;
};

// direction = gamma*D*(-gradient + sum of weighted y) - sum of weighted s, in the order of the
// two-loop recursion: y from the newest pair, s from the oldest. Sum: of the direction with the
// gradient. Largest: magnitude of the direction.
template <class H>
__device__ void combine(
    const WeightedPair *pairs, unsigned count, const Real<H> *gradient, const Real<H> *diagonal, f64 gamma_,
    Address d, Real<H> *direction, f64 *partials
) {
    using R = Real<H>;
    const R gamma = gamma_;
    f64 values[2] = {0, 0};
    for (Address tile = blockIdx.x * Address(THREADS * ELEMENTS); tile < d;
         tile += gridDim.x * Address(THREADS * ELEMENTS)) {
        R sum[ELEMENTS];
        R slope[ELEMENTS];
#pragma unroll
        for (unsigned k = 0; k < ELEMENTS; ++k) {
            const Address i = tile + k * THREADS + threadIdx.x;
            slope[k] = i < d ? gradient[i] : R(0);
            sum[k] = R(0) - slope[k];
        }
        for (unsigned r = count; r > 0; --r) {
            const H *y = at<H>(pairs[r - 1].pair) + d;
            const R weight = pairs[r - 1].y;
#pragma unroll
            for (unsigned k = 0; k < ELEMENTS; ++k) {
                const Address i = tile + k * THREADS + threadIdx.x;
                if (i < d) sum[k] += weight * widen(y[i]);
            }
        }
#pragma unroll
        for (unsigned k = 0; k < ELEMENTS; ++k) {
            const Address i = tile + k * THREADS + threadIdx.x;
            if (diagonal && i < d) sum[k] *= diagonal[i];
            sum[k] *= gamma;
        }
        for (unsigned r = 0; r < count; ++r) {
            const H *s = at<H>(pairs[r].pair);
            const R weight = pairs[r].s;
#pragma unroll
            for (unsigned k = 0; k < ELEMENTS; ++k) {
                const Address i = tile + k * THREADS + threadIdx.x;
                if (i < d) sum[k] -= weight * widen(s[i]);
            }
        }
        R part = 0, largest = 0;
#pragma unroll
        for (unsigned k = 0; k < ELEMENTS; ++k) {
            const Address i = tile + k * THREADS + threadIdx.x;
            if (i >= d) break;
            direction[i] = sum[k];
            part += sum[k] * slope[k];
            largest = larger(largest, fabs(sum[k]));
        }
        values[0] += part;
        values[1] = larger(values[1], f64(largest));
    }
    reduce(values, 1, partials + blockIdx.x * 2);
}

// Sums: of magnitudes and of squares, or where there is a second vector of magnitudes and of
// products with it. Largest: magnitude.
template <class R>
__device__ void norms(const R *vector, const R *other, Address d, f64 *partials) {
    f64 values[3] = {0, 0, 0};
    for (Address tile = blockIdx.x * Address(THREADS * ELEMENTS); tile < d;
         tile += gridDim.x * Address(THREADS * ELEMENTS)) {
        R magnitudes = 0, products = 0, largest = 0;
#pragma unroll
        for (unsigned k = 0; k < ELEMENTS; ++k) {
            const Address i = tile + k * THREADS + threadIdx.x;
            if (i >= d) break;
            const R value = vector[i];
            magnitudes += fabs(value);
            products += value * (other ? other[i] : value);
            largest = larger(largest, fabs(value));
        }
        values[0] += magnitudes;
        values[1] += products;
        values[2] = larger(values[2], f64(largest));
    }
    reduce(values, 2, partials + blockIdx.x * 3);
}

// Parameters and flat vectors: a block for each run.

// Vectors: parameters, base, direction. parameters = base + step*direction, or base where there is
// no direction.
template <class P> __device__ void write_parameters(const Run *runs, f64 step_) {
    using R = Real<P>;
    const Run run = runs[blockIdx.x];
    const R step = step_;
    P *__restrict__ parameters = at<P>(run.vectors[0]);
    const R *__restrict__ base = at<R>(run.vectors[1]);
    const R *__restrict__ direction = at<R>(run.vectors[2]);
#pragma unroll 4
    for (unsigned i = threadIdx.x; i < run.length; i += THREADS)
        parameters[i] = saturate<P>(direction ? base[i] + step * direction[i] : base[i]);
}

// Vectors: parameters, base, out. out = parameters - base, or parameters where there is no base.
template <class P> __device__ void read_parameters(const Run *runs) {
    using R = Real<P>;
    const Run run = runs[blockIdx.x];
    const P *__restrict__ parameters = at<P>(run.vectors[0]);
    const R *__restrict__ base = at<R>(run.vectors[1]);
    R *__restrict__ out = at<R>(run.vectors[2]);
#pragma unroll 4
    for (unsigned i = threadIdx.x; i < run.length; i += THREADS) {
        const R value = widen(parameters[i]);
        out[i] = base ? value - base[i] : value;
    }
}

// The kernels by name: that of the operation, then the type.
#define KERNEL(name) extern "C" __global__ void __launch_bounds__(THREADS) name

#define KERNELS_OF(T)                                                                                       \
    KERNEL(adam_##T)(const Run *runs, const AdamCoefficients *groups, f64 *sums) {                          \
        adam<T>(runs, groups, sums);                                                                        \
    }                                                                                                       \
    KERNEL(sgd_##T)(const Run *runs, const SgdCoefficients *groups, f64 *sums) {                            \
        sgd<T>(runs, groups, sums);                                                                         \
    }                                                                                                       \
    KERNEL(squares_##T)(const Run *runs, f64 *sums) { squares<T>(runs, sums); }                             \
    KERNEL(write_parameters_##T)(const Run *runs, f64 step) { write_parameters<T>(runs, step); }            \
    KERNEL(read_parameters_##T)(const Run *runs) { read_parameters<T>(runs); }                              \
    KERNEL(new_pair_##T)(                                                                                   \
        const Real<T> *direction, const Real<T> *before, const Real<T> *after, const Real<T> *gradient,     \
        const Real<T> *diagonal, Address d, f64 step, f64 theta, f64 w, T *pair, f64 *partials              \
    ) {                                                                                                     \
        new_pair<T>(direction, before, after, gradient, diagonal, d, step, theta, w, pair, partials);       \
    }                                                                                                       \
    KERNEL(row_products_##T)(                                                                               \
        const Address *pairs, unsigned count, const T *y, const Real<T> *gradient, const Real<T> *diagonal, \
        Address d, f64 *partials                                                                            \
    ) {                                                                                                     \
        row_products<T>(pairs, count, y, gradient, diagonal, d, partials);                                  \
    }                                                                                                       \
    KERNEL(combine_##T)(                                                                                    \
        const WeightedPair *pairs, unsigned count, const Real<T> *gradient, const Real<T> *diagonal,        \
        f64 gamma, Address d, Real<T> *direction, f64 *partials                                             \
    ) {                                                                                                     \
        combine<T>(pairs, count, gradient, diagonal, gamma, d, direction, partials);                        \
    }

KERNELS_OF(f32)
KERNELS_OF(f64)
KERNELS_OF(f16)
KERNELS_OF(bf16)

#define NORMS_OF(R)                                                                 \
    KERNEL(norms_##R)(const R *vector, const R *other, Address d, f64 *partials) {  \
        norms<R>(vector, other, d, partials);                                       \
    }

NORMS_OF(f32)
NORMS_OF(f64)
