// The kernels on NVIDIA GPUs, which the functions in this folder launch.
//
// Elements are of type T, the arithmetic and the sums of a thread or block of type Real<T>: f32
// beside half precision. Sums over many blocks end in f64. Every sum is taken in an order that
// depends on the sizes alone, so results have the same bits on every run. Sizes are below 2^31
// (`size` in device.rs checks this).

#include <cuda_bf16.h>
#include <cuda_fp16.h>

// Threads of a block, and of a warp; the launches must agree with the first.
constexpr unsigned THREADS = 256;
constexpr unsigned WARP = 32;

using f32 = float;
using f64 = double;
using f16 = __half;
using bf16 = __nv_bfloat16;

// The type of the arithmetic beside elements of type T.
template <class T> struct Arithmetic { using Type = f32; };
template <> struct Arithmetic<f64> { using Type = f64; };
template <class T> using Real = typename Arithmetic<T>::Type;

// The elements of a vector that a thread takes in passes over whole tensors.
#define FOR_EACH(i, count) \
    for (unsigned i = blockIdx.x * THREADS + threadIdx.x; i < (count); i += gridDim.x * THREADS)

// The sum over the threads of a block, given to all of them.
template <class R> __device__ R block_sum(R value) {
    __shared__ R warps[THREADS / WARP];
    for (unsigned distance = WARP / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffff, value, distance);
    if (threadIdx.x % WARP == 0) warps[threadIdx.x / WARP] = value;
    __syncthreads();
    R sum = warps[0];
    for (unsigned warp = 1; warp < THREADS / WARP; ++warp) sum += warps[warp];
    // The next sum writes only when this one has been read.
    __syncthreads();
    return sum;
}

// The larger number; NaN where one of them is.
template <class R> __device__ R larger(R a, R b) { return b > a || b != b ? b : a; }

// The largest number of the threads of a block, given to all of them.
template <class R> __device__ R block_max(R value) {
    __shared__ R warps[THREADS / WARP];
    for (unsigned distance = WARP / 2; distance > 0; distance /= 2)
        value = larger(value, __shfl_xor_sync(0xffffffff, value, distance));
    if (threadIdx.x % WARP == 0) warps[threadIdx.x / WARP] = value;
    __syncthreads();
    R most = warps[0];
    for (unsigned warp = 1; warp < THREADS / WARP; ++warp) most = larger(most, warps[warp]);
    __syncthreads();
    return most;
}

template <class R> __device__ R rectified(R x) { return x < R(0) ? R(0) : x; }

// A smooth activation with its derivative. The two forms of GELU are products x * share.
template <class R> struct Smooth {
    R value, derivative;

    // share = sigmoid(2u), for tanh(u) = 2 sigmoid(2u) - 1.
    __device__ static Smooth gelu_by_tanh(R x) {
        const R c = R(1.5957691216057308), cubic = R(0.044715), square = x * x;
        const R share = R(1) / (R(1) + exp(-(c * x * (R(1) + cubic * square))));
        const R inner = c * (R(1) + R(3) * cubic * square);
        return {x * share, share + x * share * (R(1) - share) * inner};
    }

    // share = the normal distribution function.
    __device__ static Smooth gelu_by_erf(R x) {
        const R share = R(0.5) * (R(1) + erf(x * R(0.7071067811865476)));
        const R density = R(0.3989422804014327) * exp(-(R(0.5) * x * x));
        return {x * share, share + x * density};
    }

    __device__ static Smooth hyperbolic_tangent(R x) {
        const R value = tanh(x);
        return {value, R(1) - value * value};
    }

    __device__ static Smooth of(unsigned kind, R x) {
        switch (kind) {
        case 1: return gelu_by_tanh(x);
        case 2: return gelu_by_erf(x);
        default: return hyperbolic_tangent(x);
        }
    }
};

// Dropout by the random stream ChaCha8 (Bernstein 2008), as rand_chacha reads it: element i has
// word i of the stream.
struct DropoutMask {
    unsigned key[8];
    unsigned stream[2];
    // A word below this drops its element; the others are multiplied by `keep`.
    unsigned threshold;
    unsigned padding;
    f64 keep;
};

// Words of a block of that stream, which a thread draws at once; the launch must agree.
constexpr unsigned CHACHA_WORDS = 16;

__device__ inline void quarter_round(unsigned &a, unsigned &b, unsigned &c, unsigned &d) {
    a += b, d ^= a, d = d << 16 | d >> 16;
    c += d, b ^= c, b = b << 12 | b >> 20;
    a += b, d ^= a, d = d << 8 | d >> 24;
    c += d, b ^= c, b = b << 7 | b >> 25;
}

__device__ inline void chacha8(const DropoutMask &mask, unsigned block, unsigned (&words)[CHACHA_WORDS]) {
    const unsigned start[CHACHA_WORDS] = {
        0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, mask.key[0], mask.key[1], mask.key[2], mask.key[3],
        mask.key[4], mask.key[5], mask.key[6], mask.key[7], block, 0, mask.stream[0], mask.stream[1],
    };
    for (unsigned i = 0; i < CHACHA_WORDS; ++i) words[i] = start[i];
    for (unsigned round = 0; round < 4; ++round) {
        for (unsigned i = 0; i < 4; ++i)
            quarter_round(words[i], words[4 + i], words[8 + i], words[12 + i]);
        for (unsigned i = 0; i < 4; ++i)
            quarter_round(words[i], words[4 + (i + 1) % 4], words[8 + (i + 2) % 4], words[12 + (i + 3) % 4]);
    }
    for (unsigned i = 0; i < CHACHA_WORDS; ++i) words[i] += start[i];
}

// What layer normalisation takes off a row and multiplies it by: one block's work.
template <class R> struct RowMoments {
    R mean, scale;

    // The mean and the reciprocal standard deviation.
    template <class T> __device__ static RowMoments of(const T *row, unsigned width, f64 epsilon) {
        R sum = 0, squares = 0;
        for (unsigned i = threadIdx.x; i < width; i += THREADS) sum += R(row[i]);
        const R mean = block_sum(sum) / R(width);
        for (unsigned i = threadIdx.x; i < width; i += THREADS) squares += (R(row[i]) - mean) * (R(row[i]) - mean);
        const R variance = block_sum(squares) / R(width);
        return {mean, R(1) / sqrt(variance + R(epsilon))};
    }
};

// The target of a row of logits that does not count.
constexpr unsigned LEFT_OUT = 0xffffffff;

// The logarithm of the sum of exponentials: one block's work.
template <class R, class T> __device__ R log_sum(const T *logits, unsigned classes) {
    R most = -INFINITY, sum = 0;
    for (unsigned i = threadIdx.x; i < classes; i += THREADS) most = larger(most, R(logits[i]));
    most = block_max(most);
    for (unsigned i = threadIdx.x; i < classes; i += THREADS) sum += exp(R(logits[i]) - most);
    return most + log(block_sum(sum));
}

// The pixels of channel blockIdx.x in all images, [images, channels, plane], which the blocks along
// y share.
#define FOR_EACH_PIXEL(i, images, channels, plane)                                                                 \
    for (unsigned pixel = blockIdx.y * THREADS + threadIdx.x, i = 0;                                               \
         pixel < (images) * (plane) &&                                                                             \
         (i = (pixel / (plane) * (channels) + blockIdx.x) * (plane) + pixel % (plane), true);                      \
         pixel += gridDim.y * THREADS)

// Leaves two sums over the threads of block (c, y), piece y of channel c.
__device__ inline void leave_sums(f64 a, f64 b, f64 *partials) {
    const f64 sums[2] = {block_sum(a), block_sum(b)};
    if (threadIdx.x < 2) partials[(blockIdx.x * gridDim.y + blockIdx.y) * 2 + threadIdx.x] = sums[threadIdx.x];
}

// The total of what the pieces of a channel left.
__device__ inline f64 channel_total(const f64 *partials, unsigned channel, unsigned pieces, unsigned column) {
    f64 sum = 0;
    for (unsigned piece = 0; piece < pieces; ++piece) sum += partials[(channel * pieces + piece) * 2 + column];
    return sum;
}

// The gradient behind a ReLU with output y.
template <class R> __device__ R behind(unsigned relu, R gradient, R y) {
    return relu && y <= R(0) ? R(0) : gradient;
}

// The first largest pixel of a window, given as the kernel `pool` takes it. NaN counts as largest,
// of several the last.
template <class T>
__device__ unsigned largest_pixel(const T *plane, unsigned width, const unsigned *rows, const unsigned *columns) {
    using R = Real<T>;
    unsigned index = rows[0] * width + columns[0];
    R best = R(plane[index]);
    for (unsigned row = rows[0]; row < rows[1]; ++row) {
        for (unsigned column = columns[0]; column < columns[1]; ++column) {
            const R value = R(plane[row * width + column]);
            if (value > best || value != value) best = value, index = row * width + column;
        }
    }
    return index;
}

// The kernels, for elements of each type.

#define NAMED(name, type) name##_##type
#define NAME(name, type) NAMED(name, type)
#define KERNEL(name) extern "C" __global__ void __launch_bounds__(THREADS) NAME(name, T)
#define R Real<T>

#define T f32
#include "functions.cuh"
#undef T

#define T f64
#include "functions.cuh"
#undef T

#define T f16
#include "functions.cuh"
#undef T

#define T bf16
#include "functions.cuh"
#undef T
