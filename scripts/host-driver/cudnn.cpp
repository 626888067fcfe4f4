// Convolutions as cuDNN makes them, on the host: the functions that cudarc's convolutions call. Sums are in f32, of
// f64 in f64. Descriptors that do not fit each other are refused, as is a workspace smaller than was asked for. The
// backward algorithms that promise no order of sums take one at random.

#include <algorithm>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

// As in cudnn.h, which comes with the library alone.
enum Status { SUCCESS = 0, BAD_PARAM = 2000, NOT_SUPPORTED = 3000 };
enum Type { FLOAT = 0, DOUBLE = 1, HALF = 2, BFLOAT16 = 9 };
enum Format { NCHW = 0 };
enum Mode { CROSS_CORRELATION = 1 };

// Of the algorithms, those that every shape has. Backward, the first has no order of sums.
enum Algorithm { ALGORITHM_0 = 0, ALGORITHM_1 = 1, ALGORITHMS };

struct Performance {
    Algorithm algorithm;
    Status status;
    float time;
    size_t memory;
    int deterministic;
    int math;
    int reserved[3];
};

// Of images (number, channels, height, width) or of a filter (outputs, inputs of a group, height, width).
struct Tensor {
    Type type;
    int shape[4];
    int strides[4];

    size_t count() const { return size_t(shape[0]) * shape[1] * shape[2] * shape[3]; }
};

struct Convolution {
    int padding[2];
    int stride[2];
    int dilation[2];
    Mode mode;
    Type sums;
    int groups = 1;
};

static Status set(Tensor *tensor, Type type, const int (&shape)[4], const int (&strides)[4]) {
    tensor->type = type;
    std::copy_n(shape, 4, tensor->shape);
    std::copy_n(strides, 4, tensor->strides);
    const auto positive = [](int value) { return value > 0; };
    if (!std::all_of(shape, shape + 4, positive) || !std::all_of(strides, strides + 4, positive)) return BAD_PARAM;
    return SUCCESS;
}

static Status set_packed(Tensor *tensor, Type type, Format format, const int (&shape)[4]) {
    if (format != NCHW) return NOT_SUPPORTED;
    return set(tensor, type, shape, {shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1});
}

// Whether y is of the shape that the convolution of x with w has.
static Status fit(const Tensor &x, const Tensor &w, const Convolution &convolution, const Tensor &y) {
    const int groups = convolution.groups;
    if (x.type != w.type || x.type != y.type) return BAD_PARAM;
    if (x.shape[1] != w.shape[1] * groups || w.shape[0] % groups != 0) return BAD_PARAM;
    if (y.shape[0] != x.shape[0] || y.shape[1] != w.shape[0]) return BAD_PARAM;
    for (int side = 0; side < 2; ++side) {
        const int reach = convolution.dilation[side] * (w.shape[2 + side] - 1) + 1;
        const int room = x.shape[2 + side] + 2 * convolution.padding[side] - reach;
        if (room < 0 || y.shape[2 + side] != room / convolution.stride[side] + 1) return BAD_PARAM;
    }
    const Type sums = x.type == DOUBLE ? DOUBLE : FLOAT;
    return convolution.mode == CROSS_CORRELATION && convolution.sums == sums ? SUCCESS : NOT_SUPPORTED;
}

// What a launch must bring; it differs, so that one that was asked for another algorithm shows.
static size_t workspace_bytes(Algorithm algorithm) { return 1000 * (algorithm + 1); }

static Status workspace_size(Status fits, Algorithm algorithm, size_t *bytes) {
    if (algorithm >= ALGORITHMS) return NOT_SUPPORTED;
    *bytes = workspace_bytes(algorithm);
    return fits;
}

static Status choose(Status fits, bool first_deterministic, int requested, int *returned, Performance *found) {
    if (requested < 1) return BAD_PARAM;
    *returned = std::min<int>(requested, ALGORITHMS);
    for (int i = 0; i < *returned; ++i) {
        const Algorithm algorithm = Algorithm(i);
        found[i] = {algorithm, SUCCESS, 1, workspace_bytes(algorithm), first_deterministic || i > 0, 0, {}};
    }
    return fits;
}

// Calls `add` with the places of every x, w and y that belong together: y is the sum of x*w.
template <class Add>
static void every_term(
    const Tensor &x, const Tensor &w, const Convolution &convolution, const Tensor &y, bool backwards, Add add
) {
    const auto [images, outputs, rows, columns] = y.shape;
    const int inputs = w.shape[1], height = x.shape[2], width = x.shape[3], step = convolution.stride[1];
    // All terms of one element of the filter with one image.
    const auto terms = [&](int image, int output, int input, int down, int right, size_t weight) {
        const int group = output / (outputs / convolution.groups);
        const int top = down * convolution.dilation[0] - convolution.padding[0];
        const int left = right * convolution.dilation[1] - convolution.padding[1];
        // The columns of y whose x lies within the image.
        const int begin = left < 0 ? (-left + step - 1) / step : 0;
        const int end = left < width ? std::min(columns, (width - 1 - left) / step + 1) : 0;
        for (int row = 0; row < rows; ++row) {
            const int from = row * convolution.stride[0] + top;
            if (from < 0 || from >= height) continue;
            const size_t channel = size_t(image) * x.shape[1] + group * inputs + input;
            const size_t source = (channel * height + from) * width + left;
            const size_t target = ((size_t(image) * outputs + output) * rows + row) * columns;
            for (int column = begin; column < end; ++column) add(source + column * step, weight, target + column);
        }
    };
    for (int turn = 0; turn < images; ++turn) {
        size_t weight = 0;
        for (int output = 0; output < outputs; ++output)
            for (int input = 0; input < inputs; ++input)
                for (int down = 0; down < w.shape[2]; ++down)
                    for (int right = 0; right < w.shape[3]; ++right)
                        terms(backwards ? images - 1 - turn : turn, output, input, down, right, weight++);
    }
}

// Calls `use` with the place of every element without gaps, and in memory.
template <class Use> static void every_element(const Tensor &tensor, Use use) {
    size_t place = 0;
    const auto &[n, c, h, w] = tensor.strides;
    for (int i = 0; i < tensor.shape[0]; ++i)
        for (int j = 0; j < tensor.shape[1]; ++j)
            for (int k = 0; k < tensor.shape[2]; ++k)
                for (int l = 0; l < tensor.shape[3]; ++l)
                    use(place++, size_t(i) * n + size_t(j) * c + size_t(k) * h + size_t(l) * w);
}

// A tensor of a launch, and where it lies.
struct Operand {
    const Tensor &tensor;
    const void *elements;
};

// Which of the three is computed from the two others.
enum Sought { X, W, Y };

template <class E>
static void compute(
    Sought sought, const Operand &x, const Operand &w, const Convolution &convolution, const Operand &y, bool backwards,
    const void *alpha, const void *beta
) {
    using R = std::conditional_t<std::is_same_v<E, double>, double, float>;
    // The one sought begins as zero.
    const auto values = [&](Sought which, const Operand &operand) {
        std::vector<R> result(operand.tensor.count());
        const E *elements = static_cast<const E *>(operand.elements);
        if (which != sought)
            every_element(operand.tensor, [&](size_t place, size_t at) { result[place] = elements[at]; });
        return result;
    };
    std::vector<R> of_x = values(X, x), of_w = values(W, w), of_y = values(Y, y);
    R *const xs = of_x.data(), *const ws = of_w.data(), *const ys = of_y.data();
    const auto terms = [&](auto add) { every_term(x.tensor, w.tensor, convolution, y.tensor, backwards, add); };
    if (sought == X) terms([=](size_t i, size_t j, size_t k) { xs[i] += ws[j] * ys[k]; });
    if (sought == W) terms([=](size_t i, size_t j, size_t k) { ws[j] += xs[i] * ys[k]; });
    if (sought == Y) terms([=](size_t i, size_t j, size_t k) { ys[k] += xs[i] * ws[j]; });

    const R scale = *static_cast<const R *>(alpha), kept = *static_cast<const R *>(beta);
    const Operand &out = sought == X ? x : sought == W ? w : y;
    const R *const sums = sought == X ? xs : sought == W ? ws : ys;
    E *const elements = static_cast<E *>(const_cast<void *>(out.elements));
    // What is there is not read where beta is zero: it may be NaN.
    every_element(out.tensor, [&](size_t place, size_t at) {
        elements[at] = E(scale * sums[place] + (kept == 0 ? 0 : kept * R(elements[at])));
    });
}

static Status launch(
    Sought sought, const Operand &x, const Operand &w, const Convolution &convolution, const Operand &y,
    Algorithm algorithm, void *workspace, size_t workspace_size, const void *alpha, const void *beta
) {
    if (algorithm >= ALGORITHMS) return NOT_SUPPORTED;
    if (workspace == nullptr || workspace_size < workspace_bytes(algorithm)) return BAD_PARAM;
    if (const Status fits = fit(x.tensor, w.tensor, convolution, y.tensor); fits != SUCCESS) return fits;
    std::memset(workspace, 0xff, workspace_bytes(algorithm));
    const bool backwards = sought != Y && algorithm == ALGORITHM_0 && std::random_device()() % 2 == 1;
    const auto of = [&](auto element) {
        compute<decltype(element)>(sought, x, w, convolution, y, backwards, alpha, beta);
        return SUCCESS;
    };
    switch (x.tensor.type) {
    case FLOAT: return of(float());
    case DOUBLE: return of(double());
    case HALF: return of(__half());
    case BFLOAT16: return of(__nv_bfloat16());
    default: return NOT_SUPPORTED;
    }
}

extern "C" {

size_t cudnnGetVersion() { return 92100; }
size_t cudnnGetCudartVersion() { return 13000; }

Status cudnnCreate(void **handle) {
    static int only;
    *handle = &only;
    return SUCCESS;
}
Status cudnnDestroy(void *) { return SUCCESS; }
Status cudnnSetStream(void *, void *) { return SUCCESS; }

Status cudnnCreateTensorDescriptor(Tensor **tensor) { return *tensor = new Tensor(), SUCCESS; }
Status cudnnDestroyTensorDescriptor(Tensor *tensor) { return delete tensor, SUCCESS; }
Status cudnnSetTensor4dDescriptor(Tensor *tensor, Format format, Type type, int n, int c, int h, int w) {
    return set_packed(tensor, type, format, {n, c, h, w});
}
Status cudnnSetTensor4dDescriptorEx(
    Tensor *tensor, Type type, int n, int c, int h, int w, int stride_n, int stride_c, int stride_h, int stride_w
) {
    return set(tensor, type, {n, c, h, w}, {stride_n, stride_c, stride_h, stride_w});
}

Status cudnnCreateFilterDescriptor(Tensor **filter) { return cudnnCreateTensorDescriptor(filter); }
Status cudnnDestroyFilterDescriptor(Tensor *filter) { return cudnnDestroyTensorDescriptor(filter); }
Status cudnnSetFilter4dDescriptor(Tensor *filter, Type type, Format format, int k, int c, int h, int w) {
    return set_packed(filter, type, format, {k, c, h, w});
}

Status cudnnCreateConvolutionDescriptor(Convolution **convolution) { return *convolution = new Convolution(), SUCCESS; }
Status cudnnDestroyConvolutionDescriptor(Convolution *convolution) { return delete convolution, SUCCESS; }
Status cudnnSetConvolution2dDescriptor(
    Convolution *convolution, int padding_h, int padding_w, int stride_h, int stride_w, int dilation_h, int dilation_w,
    Mode mode, Type sums
) {
    if (padding_h < 0 || padding_w < 0 || stride_h < 1 || stride_w < 1 || dilation_h < 1 || dilation_w < 1)
        return BAD_PARAM;
    *convolution = {{padding_h, padding_w}, {stride_h, stride_w}, {dilation_h, dilation_w}, mode, sums};
    return SUCCESS;
}
// What math may be used beside that of the type: none is, here.
Status cudnnSetConvolutionMathType(Convolution *, int) { return SUCCESS; }
Status cudnnSetConvolutionGroupCount(Convolution *convolution, int groups) {
    if (groups < 1) return BAD_PARAM;
    convolution->groups = groups;
    return SUCCESS;
}

Status cudnnGetConvolutionForwardAlgorithm_v7(
    void *, const Tensor *x, const Tensor *w, const Convolution *convolution, const Tensor *y, int requested,
    int *returned, Performance *found
) {
    return choose(fit(*x, *w, *convolution, *y), true, requested, returned, found);
}
Status cudnnGetConvolutionBackwardDataAlgorithm_v7(
    void *, const Tensor *w, const Tensor *y, const Convolution *convolution, const Tensor *x, int requested,
    int *returned, Performance *found
) {
    return choose(fit(*x, *w, *convolution, *y), false, requested, returned, found);
}
Status cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    void *, const Tensor *x, const Tensor *y, const Convolution *convolution, const Tensor *w, int requested,
    int *returned, Performance *found
) {
    return choose(fit(*x, *w, *convolution, *y), false, requested, returned, found);
}

Status cudnnGetConvolutionForwardWorkspaceSize(
    void *, const Tensor *x, const Tensor *w, const Convolution *convolution, const Tensor *y, Algorithm algorithm,
    size_t *bytes
) {
    return workspace_size(fit(*x, *w, *convolution, *y), algorithm, bytes);
}
Status cudnnGetConvolutionBackwardDataWorkspaceSize(
    void *, const Tensor *w, const Tensor *y, const Convolution *convolution, const Tensor *x, Algorithm algorithm,
    size_t *bytes
) {
    return workspace_size(fit(*x, *w, *convolution, *y), algorithm, bytes);
}
Status cudnnGetConvolutionBackwardFilterWorkspaceSize(
    void *, const Tensor *x, const Tensor *y, const Convolution *convolution, const Tensor *w, Algorithm algorithm,
    size_t *bytes
) {
    return workspace_size(fit(*x, *w, *convolution, *y), algorithm, bytes);
}

Status cudnnConvolutionForward(
    void *, const void *alpha, const Tensor *x, const void *at_x, const Tensor *w, const void *at_w,
    const Convolution *convolution, Algorithm algorithm, void *workspace, size_t bytes, const void *beta,
    const Tensor *y, void *at_y
) {
    return launch(Y, {*x, at_x}, {*w, at_w}, *convolution, {*y, at_y}, algorithm, workspace, bytes, alpha, beta);
}
Status cudnnConvolutionBackwardData(
    void *, const void *alpha, const Tensor *w, const void *at_w, const Tensor *y, const void *at_y,
    const Convolution *convolution, Algorithm algorithm, void *workspace, size_t bytes, const void *beta,
    const Tensor *x, void *at_x
) {
    return launch(X, {*x, at_x}, {*w, at_w}, *convolution, {*y, at_y}, algorithm, workspace, bytes, alpha, beta);
}
Status cudnnConvolutionBackwardFilter(
    void *, const void *alpha, const Tensor *x, const void *at_x, const Tensor *y, const void *at_y,
    const Convolution *convolution, Algorithm algorithm, void *workspace, size_t bytes, const void *beta,
    const Tensor *w, void *at_w
) {
    return launch(W, {*x, at_x}, {*w, at_w}, *convolution, {*y, at_y}, algorithm, workspace, bytes, alpha, beta);
}
}
