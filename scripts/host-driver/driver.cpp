// A CUDA driver without a card, for tests: device memory is the host's, and the kernels of optim run on the host,
// compiled from their own source. `build` makes a library of it, which stands in for libcuda.
//
// The threads of a block take turns, each from one barrier to the next; blocks run one after the other, and the
// order of threads and blocks turns round from block to block, so that results which depend on an order differ. A
// barrier that some threads of a block miss is an error. Memory begins as NaN, and ends before a page that cannot be
// touched, so that what is read before it is written, or beyond the end, shows. Kernels of other libraries are
// missing, as is every function that the tests do not need: calling one ends the process with its name.
//
// Not shown here: speed, a card's own rounding (the compiler's promise), and the order of work between streams.

#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

[[noreturn]] static void fail(const char *what, const char *name) {
    std::fprintf(stderr, "host driver: %s: %s\n", what, name);
    std::abort();
}

// What a kernel sees of its place in the grid.
static dim3 threadIdx, blockIdx, blockDim, gridDim;

// A thread of a block, on its own stack: it runs until it meets a barrier or its end, where it waits for its turn in
// the next block.
struct Thread {
    static constexpr size_t STACK = 64 * 1024;
    std::vector<char> stack = std::vector<char>(STACK);
    jmp_buf pause;
    bool begun = false;
    bool ended = false;
};

static jmp_buf turns;
static Thread *running;
static const std::function<void()> *body;

static void wait_for_turn() {
    if (!_setjmp(running->pause)) _longjmp(turns, 1);
}

static void run_blocks() {
    for (;;) {
        (*body)();
        running->ended = true;
        wait_for_turn();
    }
}

static void take_turn(Thread &thread) {
    running = &thread;
    if (_setjmp(turns)) return;
    if (thread.begun) _longjmp(thread.pause, 1);
    thread.begun = true;
    static ucontext_t begin;
    getcontext(&begin);
    begin.uc_stack.ss_sp = thread.stack.data();
    begin.uc_stack.ss_size = Thread::STACK;
    begin.uc_link = nullptr;
    makecontext(&begin, run_blocks, 0);
    setcontext(&begin);
}

static void run_block(std::vector<Thread> &threads, bool backwards, const char *kernel) {
    for (Thread &thread : threads) thread.ended = false;
    size_t ended = 0;
    while (ended < threads.size()) {
        ended = 0;
        for (size_t turn = 0; turn < threads.size(); ++turn) {
            size_t index = backwards ? threads.size() - 1 - turn : turn;
            threadIdx = dim3(index);
            take_turn(threads[index]);
            ended += threads[index].ended;
        }
        if (ended > 0 && ended < threads.size()) fail("threads of a block miss a barrier", kernel);
    }
}

static void run_grid(dim3 grid, dim3 block, const char *kernel, const std::function<void()> &thread) {
    static std::vector<Thread> threads;
    if (threads.size() != block.x) threads = std::vector<Thread>(block.x);
    body = &thread;
    gridDim = grid;
    blockDim = block;
    size_t blocks = size_t(grid.x) * grid.y;
    for (size_t turn = 0; turn < blocks; ++turn) {
        size_t index = blocks - 1 - turn;
        blockIdx = dim3(index % grid.x, index / grid.x);
        run_block(threads, turn % 2 == 1, kernel);
    }
}

// The kernels, as plain functions.
#undef __global__
#undef __device__
#undef __shared__
#undef __launch_bounds__
#define __global__
#define __device__
// One for all threads of a block, since one block runs at a time.
#define __shared__ static
#define __launch_bounds__(threads)
#define __syncthreads wait_for_turn
using std::fabs;
using std::sqrt;
#include "kernels.cu"

using Kernel = std::function<void(void **)>;

// Calls a kernel with arguments given as the driver gets them: by address, without their types.
template <class... A, size_t... I>
static Kernel with_arguments(void (*kernel)(A...), std::index_sequence<I...>) {
    return [kernel](void **arguments) { kernel(*static_cast<A *>(arguments[I])...); };
}

template <class... A> static Kernel kernel(void (*function)(A...)) {
    return with_arguments(function, std::index_sequence_for<A...>());
}

#define NAMED(name) {#name, kernel(name)}
#define NAMED_OF(T)                                                                                      \
    NAMED(adam_##T), NAMED(sgd_##T), NAMED(squares_##T), NAMED(write_parameters_##T),                    \
        NAMED(read_parameters_##T), NAMED(new_pair_##T), NAMED(row_products_##T), NAMED(combine_##T)

static const std::map<std::string, Kernel> KERNELS = {
    NAMED(totals), NAMED(norms_f32), NAMED(norms_f64),
    NAMED_OF(f32), NAMED_OF(f64), NAMED_OF(f16), NAMED_OF(bf16),
};

// Device memory, and one lock for all work: a stream's order is the order of calls.

static std::recursive_mutex lock;
static std::map<CUdeviceptr, std::pair<void *, size_t>> allocations;
// The card's memory, and how much of it is taken, in bytes.
static constexpr size_t MEMORY = size_t(1) << 30;
static size_t taken;

static CUresult allocate(CUdeviceptr *out, size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    const size_t page = sysconf(_SC_PAGESIZE);
    const size_t used = (bytes + 7) / 8 * 8;
    const size_t whole = (used + page - 1) / page * page;
    // As the driver API has it for nothing.
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (taken + whole > MEMORY) return CUDA_ERROR_OUT_OF_MEMORY;
    char *memory = static_cast<char *>(
        mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    mprotect(memory + whole, page, PROT_NONE);
    std::memset(memory, 0xff, whole);
    *out = reinterpret_cast<CUdeviceptr>(memory + whole - used);
    allocations[*out] = {memory, whole + page};
    taken += whole;
    return CUDA_SUCCESS;
}

static CUresult release(CUdeviceptr address) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    auto found = allocations.find(address);
    if (found == allocations.end()) return CUDA_ERROR_INVALID_VALUE;
    munmap(found->second.first, found->second.second);
    taken -= found->second.second - sysconf(_SC_PAGESIZE);
    allocations.erase(found);
    return CUDA_SUCCESS;
}

template <class T> static CUresult copy(T to, CUdeviceptr from, size_t bytes) {
    std::memmove((void *)to, (const void *)from, bytes);
    return CUDA_SUCCESS;
}

// Driver functions, as NVIDIA's documentation of the CUDA driver API describes them.

extern "C" {

CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuDeviceGetCount(int *count) { return *count = 1, CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute, CUdevice) {
    return *value = 1, CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
    static int only;
    *context = reinterpret_cast<CUcontext>(&only);
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice) { return CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) { return cuDevicePrimaryCtxRetain(context, 0); }
CUresult cuCtxSynchronize() { return CUDA_SUCCESS; }
CUresult cuStreamSynchronize(CUstream) { return CUDA_SUCCESS; }

static const char *text(CUresult error) {
    switch (error) {
    case CUDA_ERROR_OUT_OF_MEMORY: return "out of memory";
    case CUDA_ERROR_INVALID_DEVICE: return "invalid device ordinal";
    case CUDA_ERROR_NOT_FOUND: return "named symbol not found";
    default: return "error of the host driver";
    }
}
CUresult cuGetErrorName(CUresult error, const char **out) { return *out = text(error), CUDA_SUCCESS; }
CUresult cuGetErrorString(CUresult error, const char **out) { return *out = text(error), CUDA_SUCCESS; }

// The drop of an event waits for nothing: all work is done when its call returns.
CUresult cuEventCreate(CUevent *event, unsigned) {
    static int only;
    *event = reinterpret_cast<CUevent>(&only);
    return CUDA_SUCCESS;
}
CUresult cuEventDestroy(CUevent) { return CUDA_SUCCESS; }
CUresult cuEventRecord(CUevent, CUstream) { return CUDA_SUCCESS; }
CUresult cuStreamWaitEvent(CUstream, CUevent, unsigned) { return CUDA_SUCCESS; }

CUresult cuMemAlloc(CUdeviceptr *out, size_t bytes) { return allocate(out, bytes); }
CUresult cuMemAllocAsync(CUdeviceptr *out, size_t bytes, CUstream) { return allocate(out, bytes); }
CUresult cuMemFree(CUdeviceptr address) { return release(address); }
CUresult cuMemFreeAsync(CUdeviceptr address, CUstream) { return release(address); }
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream) {
    std::memset((void *)to, value, bytes);
    return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream) {
    return copy(to, (CUdeviceptr)from, bytes);
}
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream) { return copy(to, from, bytes); }
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream) {
    return copy(to, from, bytes);
}

CUresult cuModuleLoadData(CUmodule *module, const void *) {
    static int only;
    *module = reinterpret_cast<CUmodule>(&only);
    return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule, const char *name) {
    auto found = KERNELS.find(name);
    if (found == KERNELS.end()) fail("no kernel of this name", name);
    *function = reinterpret_cast<CUfunction>(const_cast<std::pair<const std::string, Kernel> *>(&*found));
    return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(
    CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
    unsigned block_z, unsigned, CUstream, void **arguments, void **
) {
    const auto &[name, kernel] = *reinterpret_cast<std::pair<const std::string, Kernel> *>(function);
    // The limits of every card, and what run_grid can do.
    if (grid_x == 0 || grid_y == 0 || grid_y > 65535 || block_x == 0 || block_x > 1024)
        return CUDA_ERROR_INVALID_VALUE;
    if (grid_z != 1 || block_y != 1 || block_z != 1) fail("one dimension of threads, two of blocks", name.c_str());
    std::lock_guard<std::recursive_mutex> guard(lock);
    run_grid(dim3(grid_x, grid_y), dim3(block_x), name.c_str(), [&] { kernel(arguments); });
    return CUDA_SUCCESS;
}

// What Candle makes for every device, whether it is used or not.
int cublasCreate_v2(void **handle) { return *handle = &lock, 0; }
int cublasDestroy_v2(void *) { return 0; }
int cublasSetStream_v2(void *, void *) { return 0; }
int curandCreateGenerator(void **generator, int) { return *generator = &lock, 0; }
int curandDestroyGenerator(void *) { return 0; }
int curandSetStream(void *, void *) { return 0; }
int curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return 0; }

[[noreturn]] void missing_function(const char *name) { fail("no such function here", name); }
}
