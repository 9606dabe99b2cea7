/* What all acts have: checks, a source of numbers, calls made again when a signal interrupts them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

/* An act is given a number of its own and how much to do; what it returns hangs on nothing else. */
#define ACT(name) static unsigned name(unsigned seed, unsigned size)
/* One that changes what the whole process has: only in the main thread. */
#define ALONE(name) static unsigned name(unsigned seed, unsigned size)
#define CHECK(x) ((x) ? (void)0 : failed(#x, __LINE__))
#define AGAIN(x) ({ long r_; do r_ = (long)(x); while (r_ < 0 && errno == EINTR); r_; })

static void failed(const char *what, int line) {
    int error = errno;
    fprintf(stderr, "line %d: %s (errno %d)\n", line, what, error);
    fflush(stdout);
    _exit(99);
}
static unsigned mix(unsigned a, unsigned b) {
    a ^= b + 0x9e3779b9u + (a << 6) + (a >> 2);
    return a * 2654435761u;
}
static unsigned sum(const void *data, size_t n) {
    unsigned h = 17;
    for (size_t i = 0; i < n; i++)
        h = h * 31 + ((const unsigned char *)data)[i];
    return h;
}
static void fill(void *data, size_t n, unsigned seed) {
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)data)[i] = (unsigned char)((seed = seed * 1103515245u + 12345u) >> 16);
}
static void file_name(char *to, unsigned seed, const char *what) { sprintf(to, "f%u-%d-%ld-%s", seed, getpid(), (long)syscall(SYS_gettid), what); }
static void all_in(int fd, void *to, size_t n) {
    for (size_t got = 0; got < n;) {
        long r = AGAIN(read(fd, (char *)to + got, n - got));
        CHECK(r > 0);
        got += (size_t)r;
    }
}
static void all_out(int fd, const void *from, size_t n) {
    for (size_t put = 0; put < n;) {
        long r = AGAIN(write(fd, (const char *)from + put, n - put));
        CHECK(r > 0);
        put += (size_t)r;
    }
}
static int ended(pid_t child) {
    int status;
    CHECK(AGAIN(waitpid(child, &status, 0)) == child);
    return status;
}
static void nap(long nanoseconds) {
    struct timespec t = {nanoseconds / 1000000000, nanoseconds % 1000000000}, left = {7, 7};
    while (nanosleep(&t, &left) < 0) {
        CHECK(errno == EINTR && left.tv_sec == 0 && left.tv_nsec <= t.tv_nsec + 100000);
        t = left;
    }
    CHECK(left.tv_sec == 7 || left.tv_sec == 0);
}
static void handle(int signal, void (*handler)(int), int flags) {
    struct sigaction a = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&a.sa_mask);
    CHECK(sigaction(signal, &a, 0) == 0);
}
