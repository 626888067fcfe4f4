// What a CUDA source needs to be compiled for the host: the words of the language, and of the device functions those
// that the sources use and that CUDA's headers lack there. `translate` puts it in front of every source.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <math.h>
#include <stdint.h>
#include <string>
#include <type_traits>
#include <utility>

#include <cuda/std/limits>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#undef __device__
#undef __forceinline__
// Left as it is: `compile` finds kernels by it.
#undef __global__
#undef __launch_bounds__
#undef __shared__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
// One for all threads of a block, since one block runs at a time.
#define __shared__ static
// An architecture that has all types.
#define __CUDA_ARCH__ 900
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0

// What a kernel sees of its place in the grid.
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace host {

using Kernel = std::function<void(void **)>;
using Kernels = std::map<std::string, Kernel>;

// Calls a kernel with arguments given as the driver gets them: by address, without their types.
template <class... A, size_t... I>
Kernel with_arguments(void (*kernel)(A...), std::index_sequence<I...>) {
    return [kernel](void **arguments) { kernel(*static_cast<A *>(arguments[I])...); };
}

template <class... A> Kernel kernel(void (*function)(A...)) {
    return with_arguments(function, std::index_sequence_for<A...>());
}

// Makes the kernels of a source known to the driver.
bool add_kernels(const char *source, Kernels kernels);

// Waits until all threads of the block have come here.
void wait_for_block();

// The running thread's number in its warp.
unsigned lane();

// Gives a value to the other threads of the warp, waits for theirs, and takes that of one lane.
constexpr size_t LARGEST_EXCHANGED = 8;
const void *exchange(unsigned mask, const void *value, size_t bytes, unsigned from);

template <class T> T exchange(unsigned mask, T value, unsigned from) {
    static_assert(sizeof(T) <= LARGEST_EXCHANGED);
    T result;
    std::memcpy(&result, exchange(mask, &value, sizeof(T), from), sizeof(T));
    return result;
}

template <class To, class From> To bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    std::memcpy(&result, &value, sizeof(To));
    return result;
}

// T where it is not deduced from the argument, so that the argument may be of another type.
template <class T> using Same = std::common_type_t<T>;

} // namespace host

#define __syncthreads host::wait_for_block

template <class T> T __shfl_xor_sync(unsigned mask, T value, unsigned other, unsigned = 32) {
    return host::exchange(mask, value, host::lane() ^ other);
}

// One thread runs at a time.
template <class T> T atomicAdd(T *address, host::Same<T> value) {
    T before = *address;
    *address = before + value;
    return before;
}
template <class T> T atomicMin(T *address, host::Same<T> value) {
    T before = *address;
    if (value < before) *address = value;
    return before;
}
template <class T> T atomicMax(T *address, host::Same<T> value) {
    T before = *address;
    if (before < value) *address = value;
    return before;
}
template <class T> T atomicCAS(T *address, host::Same<T> compare, host::Same<T> value) {
    T before = *address;
    if (before == compare) *address = value;
    return before;
}

template <class A, class B> std::common_type_t<A, B> min(A a, B b) { return b < a ? b : a; }
template <class A, class B> std::common_type_t<A, B> max(A a, B b) { return a < b ? b : a; }

inline float __int_as_float(int value) { return host::bits<float>(value); }
inline int __float_as_int(float value) { return host::bits<int>(value); }
inline float __uint_as_float(unsigned value) { return host::bits<float>(value); }
inline unsigned __float_as_uint(float value) { return host::bits<unsigned>(value); }
inline double __longlong_as_double(long long value) { return host::bits<double>(value); }
inline long long __double_as_longlong(double value) { return host::bits<long long>(value); }

inline float rsqrtf(float value) { return 1 / sqrtf(value); }
inline float normcdff(float value) { return erfcf(-value * float(M_SQRT1_2)) / 2; }
inline double normcdf(double value) { return erfc(-value * M_SQRT1_2) / 2; }

inline __half hsqrt(__half value) { return __float2half(sqrtf(__half2float(value))); }
inline __half hexp(__half value) { return __float2half(expf(__half2float(value))); }
inline __half hlog(__half value) { return __float2half(logf(__half2float(value))); }
inline __half hsin(__half value) { return __float2half(sinf(__half2float(value))); }
inline __half hcos(__half value) { return __float2half(cosf(__half2float(value))); }

using bfloat16 = __nv_bfloat16;
inline bfloat16 hsqrt(bfloat16 value) { return __float2bfloat16(sqrtf(__bfloat162float(value))); }
inline bfloat16 hexp(bfloat16 value) { return __float2bfloat16(expf(__bfloat162float(value))); }
inline bfloat16 hlog(bfloat16 value) { return __float2bfloat16(logf(__bfloat162float(value))); }
inline bfloat16 hsin(bfloat16 value) { return __float2bfloat16(sinf(__bfloat162float(value))); }
inline bfloat16 hcos(bfloat16 value) { return __float2bfloat16(cosf(__bfloat162float(value))); }
