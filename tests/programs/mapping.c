/* Memory: fixed mappings over one's own, hints, protections, moves, advice, the break, shared and file mappings. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static sigjmp_buf back;
static void leave(int sig) { siglongjmp(back, sig); }
static int touch(volatile char *p, int write) {
    int sig = sigsetjmp(back, 1);
    if (sig == 0) {
        if (write)
            *p = 1;
        else
            (void)*p;
    }
    return sig;
}
static unsigned sum(const char *p, size_t n) {
    unsigned s = 0;
    for (size_t i = 0; i < n; i++)
        s = s * 31 + (unsigned char)p[i];
    return s;
}

int main(int argc, char **argv) {
    (void)argc;
    const int rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
    struct sigaction a = {.sa_handler = leave};
    sigaction(SIGSEGV, &a, 0);
    sigaction(SIGBUS, &a, 0);
    setvbuf(stdout, 0, _IOLBF, 0);

    char *p = mmap(0, 16 * 4096, rw, anon, -1, 0);
    memset(p, 7, 16 * 4096);
    char *q = mmap(p + 4096, 4096, rw, anon | MAP_FIXED, -1, 0);
    printf("fixed: %d, fresh %d, neighbour %d\n", q == p + 4096, q[0], q[4096]);
    munmap(p + 8192, 4096);
    printf("hole: %d\n", touch(p + 8192, 0));
    q = mmap(p + 8192, 4096, rw, anon | MAP_FIXED_NOREPLACE, -1, 0);
    printf("refilled: %d\n", q == p + 8192);
    q = mmap(p + 8192, 4096, rw, anon | MAP_FIXED_NOREPLACE, -1, 0);
    printf("taken: %s\n", q == MAP_FAILED ? strerrorname_np(errno) : "no");
    mprotect(p, 4096, PROT_READ);
    printf("read %d, write %d\n", touch(p, 0), touch(p, 1));
    mprotect(p, 4096, PROT_NONE);
    printf("none %d\n", touch(p, 0));
    printf("mprotect of a hole: %d %s\n", mprotect((void *)0x5000000000, 4096, rw), strerrorname_np(errno));
    printf("munmap of nothing: %d, odd: %d %s\n", munmap((void *)0x5000000000, 4096), munmap((void *)1, 4096), strerrorname_np(errno));
    q = mmap(0, 0, rw, anon, -1, 0);
    printf("empty: %s\n", strerrorname_np(errno));
    q = mmap(0, 1ul << 46, rw, anon, -1, 0);
    printf("huge: %s\n", q == MAP_FAILED ? strerrorname_np(errno) : "no");

    /* A hint is honoured where it is free, and later mappings stay away from it. */
    char *hint = (char *)0x123456000000;
    q = mmap(hint, 1 << 20, rw, anon, -1, 0);
    printf("hint: %d\n", q == hint);
    char *other = mmap(hint, 4096, rw, anon, -1, 0);
    printf("hint taken: %d\n", other != hint && other != MAP_FAILED);
    char *below = p - (64 << 20);
    q = mmap(below, 32 << 20, rw, anon | MAP_NORESERVE, -1, 0);
    memset(q, 3, 4096);
    int clash = 0;
    for (int i = 0; i < 200; i++) {
        char *m = mmap(0, 1 << 20, rw, anon, -1, 0);
        clash |= m < q + (32 << 20) && m + (1 << 20) > q;
        m[0] = 1;
    }
    printf("clash: %d, kept %d\n", clash, q[0]);

    /* Moves. */
    char *m = mmap(0, 4 * 4096, rw, anon, -1, 0);
    for (int i = 0; i < 4 * 4096; i++)
        m[i] = (char)(i * 13);
    unsigned before = sum(m, 4 * 4096);
    m = mremap(m, 4 * 4096, 64 * 4096, MREMAP_MAYMOVE);
    printf("grown: %d, zeros %d\n", sum(m, 4 * 4096) == before, m[50 * 4096]);
    m = mremap(m, 64 * 4096, 2 * 4096, 0);
    printf("shrunk: %d\n", touch(m + 3 * 4096, 0));
    char *to = mmap(0, 2 * 4096, PROT_NONE, anon, -1, 0);
    char *moved = mremap(m, 2 * 4096, 2 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    printf("moved: %d, old gone %d\n", moved == to, touch(m, 0));
    printf("mremap of nothing: %s\n", mremap((void *)0x5000000000, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? strerrorname_np(errno) : "no");

    /* Advice. */
    printf("dontneed: %d", madvise(to, 4096, MADV_DONTNEED));
    printf(" %d\n", to[0]);
    printf("free: %d", madvise(to + 4096, 4096, MADV_FREE));
    printf("\ndontfork: %d wipeonfork: %d\n", madvise(to, 4096, MADV_DONTFORK), madvise(to, 4096, MADV_WIPEONFORK));
    printf("bad advice: %d %s\n", madvise(to, 4096, 77), strerrorname_np(errno));

    /* The break. */
    char *start = sbrk(0);
    printf("sbrk: %d", sbrk(100000) == start);
    memset(start, 9, 100000);
    printf(" %d", brk(start + 5000));
    printf(" %d", sbrk(0) == start + 5000);
    sbrk(95000);
    printf(" fresh %d kept %d\n", start[90000], start[4999]);
    printf("below: %ld\n", syscall(SYS_brk, 4096L) == (long)sbrk(0));

    /* Shared memory and files. */
    char *s = mmap(0, 8192, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(s, "shared");
    s = mremap(s, 8192, 16384, MREMAP_MAYMOVE);
    printf("%s\n", s);
    char path[] = "/tmp/rdb-map-XXXXXX";
    int fd = mkstemp(path);
    char text[6000];
    for (int i = 0; i < 6000; i++)
        text[i] = (char)('a' + i % 26);
    if (write(fd, text, 6000) != 6000)
        return 1;
    char *f = mmap(0, 3 * 4096, rw, MAP_SHARED, fd, 0);
    f[0] = '!';
    f[5999] = '?';
    printf("file: %.4s..%c, tail %d\n", f, f[5999], f[6001]);
    char got[4];
    printf("seen by pread: %zd %.3s\n", pread(fd, got, 3, 0), got);
    printf("msync: %d\n", msync(f, 4096, MS_SYNC));
    char *view = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 4096);
    printf("at an offset: %.3s\n", view);
    int ro = open(path, O_RDONLY);
    char *r = mmap(0, 4096, PROT_READ, MAP_SHARED, ro, 0);
    printf("writable? %d %s\n", mprotect(r, 4096, rw), strerrorname_np(errno));
    printf("not opened for it: %s\n", mmap(0, 4096, rw, MAP_SHARED, ro, 0) == MAP_FAILED ? strerrorname_np(errno) : "no");
    char *c = mmap(0, 8192, rw, MAP_PRIVATE, ro, 0);
    c[1] = 'X';
    printf("private: %.3s, the file %zd %.3s\n", c, pread(fd, got, 3, 0), got);
    printf("bad descriptor: %s\n", mmap(0, 4096, rw, MAP_PRIVATE, 99, 0) == MAP_FAILED ? strerrorname_np(errno) : "no");
    unlink(path);

    /* The stack, seen through /proc, is where it is. */
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[600];
    int found = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long lo, hi;
        if (sscanf(line, "%lx-%lx", &lo, &hi) == 2)
            found += lo <= (unsigned long)&line && (unsigned long)&line < hi;
    }
    printf("in maps: %d\n", found);
    char exe[600];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = 0;
    struct stat one, two;
    printf("exe: %d, stat %d\n", strcmp(exe, argv[0]) == 0, stat("/proc/self/exe", &one) == 0 && stat(argv[0], &two) == 0 && one.st_ino == two.st_ino);
    return 0;
}
