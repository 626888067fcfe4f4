// Matrix products as cuBLAS makes them, on the host: the functions that Candle and models call. Sums are in f32, of f64 in f64.

#include <algorithm>
#include <type_traits>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <library_types.h>

// As in cublas_api.h, which comes with the library alone.
enum Status { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum Operation { N = 0, T = 1 };
enum Compute { COMPUTE_32F = 68, COMPUTE_64F = 70 };

template <class E> using Sum = std::conditional_t<std::is_same_v<E, double>, double, float>;

// A matrix of each batch, stored by columns.
template <class E> struct Matrix {
    E *elements;
    int leading;
    long long stride;

    E *batch(int index) const { return elements + index * stride; }
};

// The matrix of so many rows and columns that the operation makes of one stored, without gaps.
template <class E>
static std::vector<Sum<E>> packed(const E *from, int leading, Operation operation, size_t rows, size_t columns) {
    std::vector<Sum<E>> to(rows * columns);
    for (size_t column = 0; column < columns; ++column)
        for (size_t row = 0; row < rows; ++row)
            to[column * rows + row] = operation == N ? from[column * leading + row] : from[row * leading + column];
    return to;
}

// C = alpha*op(A)*op(B) + beta*C in every batch; C has m rows and n columns.
template <class E>
static Status multiply(
    Operation operation_a, Operation operation_b, int m, int n, int k, Sum<E> alpha, Matrix<const E> a,
    Matrix<const E> b, Sum<E> beta, Matrix<E> c, int batches
) {
    const int rows_a = operation_a == N ? m : k, rows_b = operation_b == N ? k : n;
    if (m < 0 || n < 0 || k < 0 || batches < 0) return INVALID_VALUE;
    if (a.leading < std::max(rows_a, 1) || b.leading < std::max(rows_b, 1) || c.leading < std::max(m, 1))
        return INVALID_VALUE;
    std::vector<Sum<E>> sums(m);
    for (int batch = 0; batch < batches; ++batch) {
        const auto left = packed(a.batch(batch), a.leading, operation_a, m, k);
        const auto right = packed(b.batch(batch), b.leading, operation_b, k, n);
        for (int column = 0; column < n; ++column) {
            std::fill(sums.begin(), sums.end(), 0);
            for (int term = 0; term < k; ++term) {
                const Sum<E> factor = right[size_t(column) * k + term];
                const Sum<E> *const terms = &left[size_t(term) * m];
                for (int row = 0; row < m; ++row) sums[row] += terms[row] * factor;
            }
            E *const out = c.batch(batch) + size_t(column) * c.leading;
            // What C holds is not read where beta is zero: it may be NaN.
            for (int row = 0; row < m; ++row)
                out[row] = E(alpha * sums[row] + (beta == 0 ? 0 : beta * Sum<E>(out[row])));
        }
    }
    return SUCCESS;
}

extern "C" {

Status cublasCreate_v2(void **handle) {
    static int only;
    *handle = &only;
    return SUCCESS;
}
Status cublasDestroy_v2(void *) { return SUCCESS; }
Status cublasSetStream_v2(void *, void *) { return SUCCESS; }
// Sums are never in less than f32 here.
Status cublasSetMathMode(void *, int) { return SUCCESS; }

Status cublasDgemmStridedBatched(
    void *, Operation operation_a, Operation operation_b, int m, int n, int k, const double *alpha, const double *a,
    int leading_a, long long stride_a, const double *b, int leading_b, long long stride_b, const double *beta,
    double *c, int leading_c, long long stride_c, int batches
) {
    return multiply<double>(
        operation_a, operation_b, m, n, k, *alpha, {a, leading_a, stride_a}, {b, leading_b, stride_b}, *beta,
        {c, leading_c, stride_c}, batches
    );
}

Status cublasGemmStridedBatchedEx(
    void *, Operation operation_a, Operation operation_b, int m, int n, int k, const void *alpha, const void *a,
    cudaDataType type_a, int leading_a, long long stride_a, const void *b, cudaDataType type_b, int leading_b,
    long long stride_b, const void *beta, void *c, cudaDataType type_c, int leading_c, long long stride_c, int batches,
    Compute compute, int
) {
    if (type_a != type_b || type_a != type_c || compute != (type_a == CUDA_R_64F ? COMPUTE_64F : COMPUTE_32F))
        return NOT_SUPPORTED;
    const auto of = [&](auto element) {
        using E = decltype(element);
        return multiply<E>(
            operation_a, operation_b, m, n, k, *static_cast<const Sum<E> *>(alpha),
            {static_cast<const E *>(a), leading_a, stride_a}, {static_cast<const E *>(b), leading_b, stride_b},
            *static_cast<const Sum<E> *>(beta), {static_cast<E *>(c), leading_c, stride_c}, batches
        );
    };
    switch (type_a) {
    case CUDA_R_32F: return of(float());
    case CUDA_R_64F: return of(double());
    case CUDA_R_16F: return of(__half());
    case CUDA_R_16BF: return of(__nv_bfloat16());
    default: return NOT_SUPPORTED;
    }
}
}
