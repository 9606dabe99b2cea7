/* Signals: nested handlers, alternate stacks, restarted and interrupted calls, jumps out, waiting for them, faults. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int seen[65], depth, deepest;
static char *volatile page;

static void set(int sig, void (*f)(int), int flags) {
    struct sigaction a = {.sa_handler = f, .sa_flags = flags};
    sigemptyset(&a.sa_mask);
    sigaction(sig, &a, 0);
}
static void set_info(int sig, void (*f)(int, siginfo_t *, void *), int flags) {
    struct sigaction a = {.sa_sigaction = f, .sa_flags = flags | SA_SIGINFO};
    sigemptyset(&a.sa_mask);
    sigaction(sig, &a, 0);
}
static void count(int sig) { seen[sig]++; }
static void nest(int sig) {
    seen[sig]++;
    if (++depth > deepest)
        deepest = depth;
    if (depth < 4)
        raise(sig == SIGUSR1 ? SIGUSR2 : SIGUSR1);
    depth--;
}
static void leave(int sig) { siglongjmp(back, sig); }
static void unprotect(int sig, siginfo_t *info, void *c) {
    (void)c;
    seen[sig]++;
    printf("fault at page+%ld code %d\n", (long)((char *)info->si_addr - page), info->si_code);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}
static void overflow(int sig, siginfo_t *info, void *c) {
    (void)info, (void)c;
    char here;
    stack_t s;
    sigaltstack(0, &s);
    printf("on the alternate stack: %d, flags %d\n", &here > (char *)s.ss_sp && &here < (char *)s.ss_sp + s.ss_size, s.ss_flags);
    siglongjmp(back, sig);
}
static int dive(int n) {
    volatile char frame[4096];
    frame[0] = (char)n;
    return dive(n + 1) + frame[0];
}
static void value(int sig, siginfo_t *info, void *c) {
    (void)c;
    printf("signal %d value %d code %d\n", sig - SIGRTMIN, info->si_value.sival_int, info->si_code);
}
static void alarm_in(int usec) {
    struct itimerval t = {.it_value = {usec / 1000000, usec % 1000000}};
    setitimer(ITIMER_REAL, &t, 0);
}
static void *kick(void *main_thread) {
    pthread_kill(*(pthread_t *)main_thread, SIGUSR1);
    return 0;
}

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    set(SIGUSR1, nest, SA_NODEFER);
    set(SIGUSR2, nest, SA_NODEFER);
    raise(SIGUSR1);
    printf("nested: %d + %d, %d deep\n", seen[SIGUSR1], seen[SIGUSR2], deepest);

    set(SIGUSR1, leave, 0);
    volatile int jumps = 0;
    if (sigsetjmp(back, 1) == 0 || ++jumps < 5)
        raise(SIGUSR1);
    printf("jumps: %d\n", jumps);

    set(SIGUSR1, count, SA_RESETHAND);
    seen[SIGUSR1] = 0;
    raise(SIGUSR1);
    struct sigaction now;
    sigaction(SIGUSR1, 0, &now);
    printf("once: %d, then default: %d\n", seen[SIGUSR1], now.sa_handler == SIG_DFL);

    /* Blocked, pending, delivered in order of number. */
    sigset_t some, old, pending;
    sigemptyset(&some);
    for (int i = 0; i < 3; i++) {
        sigaddset(&some, SIGRTMIN + i);
        set_info(SIGRTMIN + i, value, SA_RESTART);
    }
    sigprocmask(SIG_BLOCK, &some, &old);
    for (int i = 2; i >= 0; i--)
        sigqueue(getpid(), SIGRTMIN + i, (union sigval){.sival_int = 10 + i});
    sigpending(&pending);
    printf("pending: %d %d %d\n", sigismember(&pending, SIGRTMIN), sigismember(&pending, SIGRTMIN + 1), sigismember(&pending, SIGUSR1));
    siginfo_t got;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN + 1);
    int waited = sigwaitinfo(&one, &got);
    printf("waited for: %d value %d\n", waited - SIGRTMIN, got.si_value.sival_int);
    int fd = signalfd(-1, &one, 0);
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 99});
    struct signalfd_siginfo sfd;
    ssize_t n = read(fd, &sfd, sizeof sfd);
    printf("signalfd: %zd bytes, %d value %d\n", n, (int)sfd.ssi_signo - SIGRTMIN, sfd.ssi_int);
    sigprocmask(SIG_SETMASK, &old, 0);
    struct timespec zero = {0, 0};
    printf("nothing to wait for: %d %s\n", sigtimedwait(&one, 0, &zero), strerrorname_np(errno));

    /* sigsuspend, ppoll, pselect: under another mask. */
    set(SIGALRM, count, 0);
    sigemptyset(&one);
    sigaddset(&one, SIGALRM);
    sigprocmask(SIG_BLOCK, &one, &old);
    alarm_in(1000);
    sigset_t open_mask = old;
    sigdelset(&open_mask, SIGALRM);
    int r = sigsuspend(&open_mask);
    printf("sigsuspend: %d %s, seen %d\n", r, strerrorname_np(errno), seen[SIGALRM]);
    raise(SIGALRM);
    r = ppoll(0, 0, 0, &open_mask);
    printf("ppoll: %d %s, seen %d\n", r, strerrorname_np(errno), seen[SIGALRM]);
    raise(SIGALRM);
    r = pselect(0, 0, 0, 0, 0, &open_mask);
    printf("pselect: %d %s, seen %d\n", r, strerrorname_np(errno), seen[SIGALRM]);
    sigset_t after;
    sigprocmask(SIG_BLOCK, 0, &after);
    printf("blocked again: %d\n", sigismember(&after, SIGALRM));
    sigprocmask(SIG_SETMASK, &old, 0);

    /* Interrupted and restarted reads; the time left of a sleep and of a select. */
    int p[2];
    if (pipe(p))
        return 1;
    char c;
    alarm_in(1000);
    r = (int)read(p[0], &c, 1);
    printf("read: %d %s\n", r, strerrorname_np(errno));
    alarm_in(1000);
    struct timespec req = {100, 0}, rem = {0, 0};
    r = nanosleep(&req, &rem);
    printf("nanosleep: %d %s, left %d\n", r, strerrorname_np(errno), rem.tv_sec >= 90 && rem.tv_sec <= 100);
    alarm_in(1000);
    struct timeval tv = {100, 0};
    r = select(0, 0, 0, 0, &tv);
    printf("select: %d %s, left %d\n", r, strerrorname_np(errno), tv.tv_sec >= 90 && (tv.tv_sec < 100));
    pid_t writer = fork();
    if (writer == 0) {
        char b;
        ssize_t k = read(p[0], &b, 1); /* ended by the parent's signal */
        (void)k;
        _exit(9);
    }
    set(SIGALRM, SIG_IGN, 0);
    kill(writer, SIGTERM);
    int status;
    waitpid(writer, &status, 0);
    printf("child: signalled %d by %d\n", WIFSIGNALED(status), WTERMSIG(status));
    set(SIGCHLD, count, SA_RESTART | SA_NOCLDSTOP);
    writer = fork();
    if (writer == 0) {
        raise(SIGSTOP);
        ssize_t k = write(p[1], "x", 1);
        (void)k;
        _exit(0);
    }
    waitpid(writer, &status, WUNTRACED);
    printf("stopped: %d, seen %d\n", WIFSTOPPED(status), seen[SIGCHLD]);
    kill(writer, SIGCONT);
    r = (int)read(p[0], &c, 1);
    printf("restarted read: %d\n", r);
    while (waitpid(writer, &status, 0) < 0 && errno == EINTR) {
    }
    printf("exited: %d, seen %d\n", WIFEXITED(status), seen[SIGCHLD]);

    /* A thread told to run its handler while it waits. */
    set(SIGUSR1, count, 0);
    seen[SIGUSR1] = 0;
    pthread_t self = pthread_self(), t;
    sigset_t usr;
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr, &old);
    pthread_create(&t, 0, kick, &self);
    sigsuspend(&old);
    pthread_join(t, 0);
    pthread_sigmask(SIG_SETMASK, &old, 0);
    printf("kicked: %d\n", seen[SIGUSR1]);

    /* Faults. */
    page = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    set_info(SIGSEGV, unprotect, 0);
    page[123] = 5;
    printf("written: %d\n", page[123]);
    set(SIGFPE, leave, 0);
    volatile int null = 0;
    if ((r = sigsetjmp(back, 1)) == 0)
        printf("%d\n", 1 / null);
    printf("left by %d\n", r);
    set(SIGILL, leave, 0);
    if ((r = sigsetjmp(back, 1)) == 0)
        __asm__ volatile("ud2");
    printf("left by %d\n", r);
    set(SIGTRAP, leave, 0);
    if ((r = sigsetjmp(back, 1)) == 0)
        __asm__ volatile("int3");
    printf("left by %d\n", r);
    set(SIGSEGV, leave, 0);
    if ((r = sigsetjmp(back, 1)) == 0)
        ((void (*)(void))0x7f1234567000)();
    printf("left by %d\n", r);
    if ((r = sigsetjmp(back, 1)) == 0)
        *(volatile int *)0xdead000000000000 = 1;
    printf("left by %d\n", r);
    static char area[65536];
    stack_t alt = {.ss_sp = area, .ss_size = sizeof area};
    sigaltstack(&alt, 0);
    set_info(SIGSEGV, overflow, SA_ONSTACK);
    if ((r = sigsetjmp(back, 1)) == 0)
        dive(0);
    printf("left by %d\n", r);
    set(SIGBUS, leave, 0);
    FILE *f = tmpfile();
    char *map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(f), 0);
    if ((r = sigsetjmp(back, 1)) == 0)
        map[0] = 1;
    printf("left by %d\n", r);

    /* A blocked fault, and a stack without room for a frame, kill. */
    for (int i = 0; i < 2; i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            set(SIGSEGV, count, 0);
            if (i == 0) {
                sigset_t segv;
                sigemptyset(&segv);
                sigaddset(&segv, SIGSEGV);
                sigprocmask(SIG_BLOCK, &segv, 0);
                *(volatile int *)8 = 1;
            }
            dive(0);
        }
        waitpid(pid, &status, 0);
        printf("child: signalled %d by %d\n", WIFSIGNALED(status), WTERMSIG(status));
    }
    return 7;
}
