// A CUDA driver without a card, for tests: device memory is the host's, and kernels run on the host, compiled from
// their own sources (`compile`). `build` makes a library of it, which stands in for libcuda and, with blas.cpp and
// cudnn.cpp, for the libraries of CUDA that Candle calls.
//
// The threads of a block take turns, each from one barrier to the next; blocks run one after the other. The order of
// threads turns round from block to block, and that of blocks at random, so that results which depend on an order
// differ. A barrier that some threads of a block or a warp miss is an error. Memory begins as NaN, and ends before a
// page that cannot be touched, so that what is read before it is written, or beyond the end, shows. Every function
// that the tests do not need is missing, as are kernels of sources that `build` leaves out: calling one ends the
// process with its name.
//
// Not shown here: speed, a card's own rounding (the compiler's promise), and the order of work between streams.

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

#include <cuda.h>

#include "cuda_on_host.h"

[[noreturn]] static void fail(const char *what, const char *name) {
    std::fprintf(stderr, "host driver: %s: %s\n", what, name);
    std::abort();
}

// Running a grid.

dim3 threadIdx, blockIdx, blockDim, gridDim;

static constexpr size_t WARP = 32;

// A stack that threads run on, one after the other.
struct Fiber {
    static constexpr size_t STACK = 64 * 1024;
    std::unique_ptr<char[]> stack{new char[STACK]};
    jmp_buf pause;
    bool begun = false;
};

// A thread of the block that runs, and what it waits for since its last turn.
struct Thread {
    enum Wait { TO_BEGIN, FOR_WARP, FOR_BLOCK, FOR_EVER };
    dim3 index;
    Wait wait;
    Fiber *fiber;
    size_t exchanges;
};

static std::vector<Thread> threads;
static std::vector<Fiber *> idle_fibers;
static Thread *running;
static jmp_buf turns;
static const std::function<void()> *body;

// What the threads of a warp exchange. Two tables in turn: who writes to one for the second time has waited for all to
// write to the other, and they had read this one by then.
static char exchanged[2][WARP][host::LARGEST_EXCHANGED];

static void wait_for_turn(Thread::Wait wait) {
    running->wait = wait;
    if (!_setjmp(running->fiber->pause)) _longjmp(turns, 1);
}

static void run_threads() {
    for (;;) {
        (*body)();
        wait_for_turn(Thread::FOR_EVER);
    }
}

static void switch_to(Fiber &fiber) {
    if (_setjmp(turns)) return;
    if (fiber.begun) _longjmp(fiber.pause, 1);
    fiber.begun = true;
    static ucontext_t begin;
    getcontext(&begin);
    begin.uc_stack.ss_sp = fiber.stack.get();
    begin.uc_stack.ss_size = Fiber::STACK;
    begin.uc_link = nullptr;
    makecontext(&begin, run_threads, 0);
    setcontext(&begin);
}

static void take_turn(Thread &thread) {
    if (thread.wait == Thread::TO_BEGIN) {
        if (idle_fibers.empty()) idle_fibers.push_back(new Fiber);
        thread.fiber = idle_fibers.back();
        idle_fibers.pop_back();
    }
    running = &thread;
    threadIdx = thread.index;
    switch_to(*thread.fiber);
    if (thread.wait == Thread::FOR_EVER) idle_fibers.push_back(thread.fiber);
}

// Whether all of some threads have come to one place, or none has.
static bool all_wait(const Thread *first, const Thread *last, Thread::Wait wait, const char *kernel) {
    const auto count = std::count_if(first, last, [&](const Thread &thread) { return thread.wait == wait; });
    if (count > 0 && count < last - first) fail("threads miss a barrier of their block or warp", kernel);
    return count > 0;
}

// Up to the next barrier of the block.
static void run_warp(Thread *first, Thread *last, bool backwards, const char *kernel) {
    // What lanes without a thread give is undefined.
    std::memset(exchanged, 0xff, sizeof exchanged);
    do {
        for (Thread *thread = first; thread < last; ++thread)
            take_turn(backwards ? *(first + (last - 1 - thread)) : *thread);
    } while (all_wait(first, last, Thread::FOR_WARP, kernel));
}

static void run_block(bool backwards, const char *kernel) {
    for (Thread &thread : threads) thread.wait = Thread::TO_BEGIN;
    Thread *const first = threads.data(), *const last = first + threads.size();
    const size_t warps = (threads.size() + WARP - 1) / WARP;
    do {
        for (size_t turn = 0; turn < warps; ++turn) {
            Thread *const warp = first + (backwards ? warps - 1 - turn : turn) * WARP;
            run_warp(warp, std::min(warp + WARP, last), backwards, kernel);
        }
    } while (!all_wait(first, last, Thread::FOR_EVER, kernel));
}

static void run_grid(dim3 grid, dim3 block, const char *kernel, const std::function<void()> &thread) {
    threads.clear();
    for (unsigned z = 0; z < block.z; ++z)
        for (unsigned y = 0; y < block.y; ++y)
            for (unsigned x = 0; x < block.x; ++x) threads.push_back({dim3(x, y, z), Thread::TO_BEGIN, nullptr, 0});
    body = &thread;
    gridDim = grid;
    blockDim = block;
    const size_t blocks = size_t(grid.x) * grid.y * grid.z;
    const size_t backwards = std::random_device()() % 2;
    for (size_t turn = 0; turn < blocks; ++turn) {
        const size_t index = backwards ? blocks - 1 - turn : turn;
        blockIdx = dim3(index % grid.x, index / grid.x % grid.y, index / grid.x / grid.y);
        run_block((turn + backwards) % 2, kernel);
    }
}

void host::wait_for_block() { wait_for_turn(Thread::FOR_BLOCK); }

unsigned host::lane() { return (running - threads.data()) % WARP; }

const void *host::exchange(unsigned mask, const void *value, size_t bytes, unsigned from) {
    if (mask != 0xffffffff) fail("an exchange", "of a part of a warp");
    auto &table = exchanged[running->exchanges++ % 2];
    std::memcpy(table[lane()], value, bytes);
    wait_for_turn(Thread::FOR_WARP);
    return table[from % WARP];
}

// The kernels of every source, by its path.
static std::map<std::string, host::Kernels> &sources() {
    static std::map<std::string, host::Kernels> all;
    return all;
}

bool host::add_kernels(const char *source, Kernels kernels) {
    return sources().emplace(source, std::move(kernels)).second;
}

// Device memory, and one lock for all work: a stream's order is the order of calls.

static std::recursive_mutex lock;
struct Allocation {
    void *memory;
    size_t used;
    size_t fence;
};
static std::map<CUdeviceptr, Allocation> allocations;

// An allocation ends at a page that no kernel may touch. With it, it is two mappings, and Linux lets a process have 65,530
// of them: tests with tens of thousands of tensors have fences behind the first alone.
static const size_t FENCED = 10000;

// The card's memory, and how much of it is taken, in bytes.
static constexpr size_t MEMORY = size_t(1) << 30;
static size_t taken;

static CUresult allocate(CUdeviceptr *out, size_t bytes) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    const size_t page = sysconf(_SC_PAGESIZE);
    // Kernels may load 16 bytes at once from where an allocation begins.
    const size_t used = (bytes + 15) / 16 * 16;
    const size_t whole = (used + page - 1) / page * page;
    // As the driver API has it for nothing.
    if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (taken + whole > MEMORY) return CUDA_ERROR_OUT_OF_MEMORY;
    const size_t fence = allocations.size() < FENCED ? page : 0;
    char *memory = static_cast<char *>(
        mmap(nullptr, whole + fence, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    if (fence > 0 && mprotect(memory + whole, fence, PROT_NONE) != 0) {
        munmap(memory, whole + fence);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    std::memset(memory, 0xff, whole);
    *out = reinterpret_cast<CUdeviceptr>(memory + whole - used);
    allocations[*out] = {memory, whole, fence};
    taken += whole;
    return CUDA_SUCCESS;
}

static CUresult release(CUdeviceptr address) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    auto found = allocations.find(address);
    if (found == allocations.end()) return CUDA_ERROR_INVALID_VALUE;
    munmap(found->second.memory, found->second.used + found->second.fence);
    taken -= found->second.used;
    allocations.erase(found);
    return CUDA_SUCCESS;
}

template <class T> static CUresult copy(T to, CUdeviceptr from, size_t bytes) {
    std::memmove((void *)to, (const void *)from, bytes);
    return CUDA_SUCCESS;
}

// Driver functions, as NVIDIA's documentation of the CUDA driver API describes them.

extern "C" {

// Several cards, which share their memory.
static constexpr int CARDS = 2;

CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    *device = ordinal;
    return ordinal >= 0 && ordinal < CARDS ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuDeviceGetCount(int *count) { return *count = CARDS, CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute, CUdevice) {
    return *value = 1, CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char *name, int length, CUdevice) {
    return snprintf(name, size_t(length), "host"), CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    static int contexts[CARDS];
    *context = reinterpret_cast<CUcontext>(&contexts[device]);
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice) { return CUDA_SUCCESS; }
static thread_local CUcontext current;
CUresult cuCtxSetCurrent(CUcontext context) { return current = context, CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) { return *context = current, CUDA_SUCCESS; }
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

// Memory that was freed is given back at once, whatever is asked for.
CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice) { return *pool = nullptr, CUDA_SUCCESS; }
CUresult cuMemPoolSetAttribute(CUmemoryPool, CUmemPool_attribute, void *) { return CUDA_SUCCESS; }

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

// The build's compiler for CUDA names the source of every module at its end.
CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    const std::string text = static_cast<const char *>(image), mark = "// source: ";
    const size_t at = text.rfind(mark);
    if (at == std::string::npos) fail("a module of another compiler than host-driver/nvcc", text.substr(0, 80).c_str());
    const std::string source = text.substr(at + mark.size(), text.find('\n', at) - at - mark.size());
    const auto found = sources().find(source);
    if (found == sources().end()) fail("no kernels of this source", source.c_str());
    *module = reinterpret_cast<CUmodule>(&found->second);
    return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    auto &kernels = *reinterpret_cast<host::Kernels *>(module);
    const auto found = kernels.find(name);
    if (found == kernels.end()) fail("no kernel of this name", name);
    *function = reinterpret_cast<CUfunction>(&*found);
    return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(
    CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
    unsigned block_z, unsigned shared_bytes, CUstream, void **arguments, void **
) {
    const auto &[name, kernel] = *reinterpret_cast<host::Kernels::value_type *>(function);
    const size_t blocks = size_t(grid_x) * grid_y * grid_z, size = size_t(block_x) * block_y * block_z;
    // The limits of every card.
    if (blocks == 0 || grid_x > 2147483647 || grid_y > 65535 || grid_z > 65535) return CUDA_ERROR_INVALID_VALUE;
    if (size == 0 || size > 1024 || block_z > 64) return CUDA_ERROR_INVALID_VALUE;
    if (shared_bytes > 0) fail("shared memory whose size the launch says", name.c_str());
    std::lock_guard<std::recursive_mutex> guard(lock);
    run_grid(dim3(grid_x, grid_y, grid_z), dim3(block_x, block_y, block_z), name.c_str(), [&] { kernel(arguments); });
    return CUDA_SUCCESS;
}

// What Candle makes for every device, whether it is used or not.
int curandCreateGenerator(void **generator, int) { return *generator = &lock, 0; }
int curandDestroyGenerator(void *) { return 0; }
int curandSetStream(void *, void *) { return 0; }
int curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return 0; }

[[noreturn]] void missing_function(const char *name) { fail("no such function here", name); }
}
