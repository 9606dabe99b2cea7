// Looks at all that a program can see of who records it, and prints what it found: the vDSO's bytes and its clocks, signal frames, CPUID, sites
// of system calls that are made often, threads, a child. It needs no library, so that a packed trace of it is small:
//     cc -O1 -nostdlib -static -ffreestanding -fno-stack-protector -fcf-protection=none -o outlived outlived.c
#include <elf.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

static long call(long n, long a, long b, long c, long d, long e, long f) {
    long r;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return r;
}
#define CALL(n, a, b, c) call(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)

void *memset(void *to, int value, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = value;
    return to;
}

void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

static uint64_t hash(const void *at, size_t n) {
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)at)[i]) * 0x100000001b3;
    return h;
}

static int same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static void say(const char *what, uint64_t value) {
    char line[80];
    int n = 0;
    while (what[n]) line[n] = what[n], n++;
    line[n++] = ' ';
    for (int shift = 60; shift >= 0; shift -= 4) line[n++] = "0123456789abcdef"[value >> shift & 15];
    line[n++] = '\n';
    CALL(SYS_write, 1, line, n);
}

// The two patterns of sites that a recorder may rewrite.
__attribute__((noinline)) static long often(void) {
    long r;
    __asm__ volatile("mov $110, %%eax\n\tsyscall" : "=a"(r) : : "rcx", "r11", "memory");
    return r;
}

__attribute__((noinline)) static long reading(int fd, void *to, long n) {
    long r;
    __asm__ volatile("xor %%eax, %%eax\n\tsyscall\n\tcmp $-4096, %%rax" : "=&a"(r) : "D"(fd), "S"(to), "d"(n) : "rcx", "r11", "memory", "cc");
    return r;
}

static int (*clock_reading)(clockid_t, struct timespec *);
static uint64_t seen;
static volatile int handled, round_trip, over;

static void handler(int signal, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    handled++;
    seen = (seen + hash(u->uc_mcontext.gregs, sizeof u->uc_mcontext.gregs) + hash(&u->uc_sigmask, 8)) * 31 + signal + info->si_code;
    if (u->uc_mcontext.fpregs) seen += hash(u->uc_mcontext.fpregs, 416);
}

__attribute__((naked)) static void restorer(void) { __asm__("mov $15, %eax\n\tsyscall"); }

struct action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

static void wait_for(volatile int *word, int value) { call(SYS_futex, (long)word, FUTEX_WAIT, value, 0, 0, 0); }
static void wake(volatile int *word) { call(SYS_futex, (long)word, FUTEX_WAKE, 1, 0, 0, 0); }

// A thread: ten turns of an odd and an even number.
__attribute__((used)) static void thread(void) {
    for (int i = 0; i < 10; i++) {
        while (!(round_trip & 1)) wait_for(&round_trip, round_trip);
        round_trip++;
        wake(&round_trip);
    }
    over = 1;
    wake(&over);
    CALL(SYS_exit, 0, 0, 0);
}

static char stack[65536] __attribute__((aligned(64)));

static void start_thread(void) {
    long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    long r;
    __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\tand $-16, %%rsp\n\tcall thread\n1:"
                     : "=a"(r)
                     : "a"((long)SYS_clone), "D"(flags), "S"(stack + sizeof stack), "d"(0L)
                     : "rcx", "r11", "memory");
}

static void find_clock(const unsigned char *image) {
    const Elf64_Ehdr *head = (const void *)image;
    const Elf64_Phdr *p = (const void *)(image + head->e_phoff);
    const Elf64_Dyn *d = 0;
    for (int i = 0; i < head->e_phnum; i++)
        if (p[i].p_type == PT_DYNAMIC) d = (const void *)(image + p[i].p_vaddr);
    const Elf64_Sym *symbols = 0;
    const char *strings = 0;
    const uint32_t *table = 0;
    for (; d && d->d_tag; d++) {
        if (d->d_tag == DT_SYMTAB) symbols = (const void *)(image + d->d_un.d_ptr);
        if (d->d_tag == DT_STRTAB) strings = (const char *)(image + d->d_un.d_ptr);
        if (d->d_tag == DT_HASH) table = (const void *)(image + d->d_un.d_ptr);
    }
    for (uint32_t i = 1; table && i < table[1]; i++)
        if (same(strings + symbols[i].st_name, "__vdso_clock_gettime")) clock_reading = (void *)(image + symbols[i].st_value);
}

__attribute__((used)) static void run(long *sp) {
    long *words = sp + 1 + *sp + 1;
    while (*words) words++;
    for (words++; *words; words += 2)
        if (*words == 33) {
            say("vdso at", words[1]);
            say("vdso", hash((void *)words[1], 4096));
            find_clock((void *)words[1]);
        }
    struct timespec now = {0, 0};
    uint64_t sum = 0;
    for (int i = 0; i < 500 && clock_reading; i++) {
        clock_reading(i & 1, &now);
        sum = sum * 31 + now.tv_nsec;
    }
    say("clock", sum);

    for (int i = 0; i < 100; i++) sum = sum * 31 + often();
    say("parent", sum);
    char bytes[16];
    long fd = CALL(SYS_open, "/dev/urandom", 0, 0);
    for (int i = 0; i < 1500; i++) {
        reading(fd, bytes, sizeof bytes);
        sum += hash(bytes, sizeof bytes);
    }
    say("read", sum);

    uint32_t a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    say("cpuid", (uint64_t)b << 32 | (a ^ c ^ d));
    __asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
    say("tsc", (uint64_t)d << 32 | a);

    struct action action = {handler, SA_SIGINFO | 0x04000000, restorer, 0};
    call(SYS_rt_sigaction, SIGUSR1, (long)&action, 0, 8, 0, 0);
    call(SYS_rt_sigaction, SIGALRM, (long)&action, 0, 8, 0, 0);
    long self = CALL(SYS_getpid, 0, 0, 0);
    for (int i = 0; i < 5; i++) CALL(SYS_kill, self, SIGUSR1, 0);
    long timer[4] = {0, 0, 0, 3000};
    CALL(SYS_setitimer, 0, timer, 0);
    while (handled < 6) CALL(SYS_getppid, 0, 0, 0);
    say("frames", seen);
#ifdef MOMENTS
    // A timer in a loop without system calls: a moment in native code.
    CALL(SYS_setitimer, 0, timer, 0);
    uint64_t loops = 0;
    while (handled < 7) loops = loops * 31 + handled;
    say("loops", loops);
#endif

    start_thread();
    for (int i = 0; i < 10; i++) {
        round_trip++;
        wake(&round_trip);
        while (round_trip & 1) wait_for(&round_trip, round_trip);
    }
    while (!over) wait_for(&over, 0);
    say("turns", round_trip);

    char *memory = (char *)call(SYS_mmap, 0, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("memory", (uint64_t)memory);
    long top = CALL(SYS_brk, 0, 0, 0);
    say("break", CALL(SYS_brk, top + 8192, 0, 0) - top);
    memset(memory, 7, 1 << 16);
    long child = CALL(SYS_fork, 0, 0, 0);
    if (child == 0) {
        say("child", CALL(SYS_getpid, 0, 0, 0));
        CALL(SYS_exit_group, 3, 0, 0);
    }
    int status = 0;
    call(SYS_wait4, child, (long)&status, 0, 0, 0, 0);
    say("status", status);
    CALL(SYS_exit_group, 0, 0, 0);
}

__attribute__((naked, noreturn)) void _start(void) { __asm__("mov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run"); }
