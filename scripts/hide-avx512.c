/* Hides AVX-512 from a program on x86-64 Linux, so that it runs as on a processor that has none:
 *
 *   gcc -O2 -shared -fPIC -o hide.so scripts/hide-avx512.c
 *   objdump -d --no-show-raw-insn PROGRAM | awk '$2 == "cpuid" { sub(":", "", $1); print $1 }' > sites
 *   CPUID_SITES=sites LD_PRELOAD=$PWD/hide.so PROGRAM
 *
 * A program asks the instruction CPUID what its processor can do. Before the program begins, each CPUID of it, at one of the
 * `sites`, becomes an instruction that does not exist; the handler of that signal answers in its place, without AVX-512. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define MOST_SITES 4096

static uintptr_t sites[MOST_SITES];
static size_t count;

static void fail(const char *what) {
  fprintf(stderr, "hide-avx512: %s\n", what);
  _exit(70);
}

/* Leaf 7 has the bits of AVX-512 (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A, CPUID). */
static void without_avx512(unsigned leaf, unsigned subleaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
  if (leaf != 7) return;
  if (subleaf == 0) {
    /* F, DQ, IFMA, PF, ER, CD, BW, VL */
    *b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31);
    /* VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
    *c &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
    /* 4VNNIW, 4FMAPS, VP2INTERSECT, FP16 */
    *d &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 23);
  } else if (subleaf == 1) {
    *a &= ~(1u << 5);  /* BF16 */
    *d &= ~(1u << 19); /* AVX10 */
  }
}

static void answer(int signal_number, siginfo_t *information, void *context) {
  (void)information;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  for (size_t i = 0; i < count; i++) {
    if (sites[i] != (uintptr_t)registers[REG_RIP]) continue;
    unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX], a, b, c, d;
    __cpuid_count(leaf, subleaf, a, b, c, d);
    without_avx512(leaf, subleaf, &a, &b, &c, &d);
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
    return;
  }
  /* Another instruction that does not exist: the program ends by it. */
  signal(signal_number, SIG_DFL);
}

/* The program is the first object; its addresses begin here. */
static int first_object(struct dl_phdr_info *information, size_t size, void *base) {
  (void)size;
  *(uintptr_t *)base = information->dlpi_addr;
  return 1;
}

__attribute__((constructor)) static void hide(void) {
  const char *path = getenv("CPUID_SITES");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) fail("CPUID_SITES is no file");
  /* Programs that this one starts are left alone. */
  unsetenv("LD_PRELOAD");
  uintptr_t base = 0, address;
  dl_iterate_phdr(first_object, &base);
  while (count < MOST_SITES && fscanf(file, "%lx", &address) == 1) sites[count++] = base + address;
  fclose(file);
  if (count == 0 || count == MOST_SITES) fail("no sites, or too many");
  struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
  if (sigaction(SIGILL, &action, NULL) != 0) fail("no handler");
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < count; i++) {
    unsigned char *code = (unsigned char *)sites[i];
    void *start = (void *)(sites[i] & ~(page - 1));
    size_t length = sites[i] + 2 - (uintptr_t)start;
    if (mprotect(start, length, PROT_READ | PROT_WRITE) != 0) fail("code cannot be changed");
    if (code[0] != 0x0f || code[1] != 0xa2) fail("the sites are of another program");
    code[1] = 0x0b; /* UD2 */
    if (mprotect(start, length, PROT_READ | PROT_EXEC) != 0) fail("code cannot be run");
  }
}
