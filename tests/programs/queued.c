// Real-time signals sent several times: each is delivered, in order (signal(7)). What is printed is the same in every run.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MANY = 400 };
static int order[64], handled;
static _Atomic long count, sum, wrong;
static _Atomic int next[4];

static void keep(int signal, siginfo_t *info, void *context) {
    (void)context;
    order[handled++ % 64] = (signal - SIGRTMIN) * 100 + info->si_value.sival_int;
}

// Those of one sender come in the order they were sent.
static void add(int signal, siginfo_t *info, void *context) {
    (void)context;
    count++;
    sum += info->si_value.sival_int;
    if (info->si_value.sival_int != next[signal - SIGRTMIN]++) wrong++;
}

static void handle(void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 4; i++) sigaction(SIGRTMIN + i, &action, NULL);
}

static sigset_t all_of_them(void) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < 4; i++) sigaddset(&set, SIGRTMIN + i);
    return set;
}

static void show(const char *what) {
    printf("%s %d:", what, handled);
    for (int i = 0; i < handled && i < 64; i++) printf(" %d", order[i]);
    putchar('\n');
    handled = 0;
}

static void queue(int to, int signal, int value) {
    while (sigqueue(to, signal, (union sigval){.sival_int = value}) && errno == EAGAIN) usleep(100);
}

// Sent while they are blocked, let in at once; with SA_NODEFER each handler interrupts the one before.
static void at_once(const char *what, int flags) {
    sigset_t set = all_of_them(), old;
    handle(keep, flags);
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int i = 0; i < 20; i++) queue(getpid(), SIGRTMIN + i % 3, i);
    sigprocmask(SIG_SETMASK, &old, NULL);
    show(what);
}

// Let in by sigsuspend, one for each call.
static void suspended(void) {
    sigset_t set = all_of_them(), old;
    handle(keep, 0);
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int i = 0; i < 6; i++) queue(getpid(), SIGRTMIN, i);
    for (int i = 0; i < 3; i++) {
        sigsuspend(&old);
        show("suspended");
    }
    struct timespec none = {0, 0};
    siginfo_t info;
    while (sigtimedwait(&set, &info, &none) > 0) printf("waited for %d\n", info.si_value.sival_int);
    // A child has none of its parent's.
    queue(getpid(), SIGRTMIN, 9);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &old, NULL);
        _exit(handled);
    }
    int status;
    waitpid(child, &status, 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("child %d\n", WEXITSTATUS(status));
    show("parent");
}

// A child sends many to whoever computes, calls, or sleeps.
static void flood(const char *what, void (*meanwhile)(void), int flags) {
    handle(add, flags);
    count = sum = wrong = 0;
    for (int i = 0; i < 4; i++) next[i] = 0;
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        for (int i = 0; i < MANY; i++) queue(parent, SIGRTMIN + i % 4, i / 4);
        _exit(0);
    }
    while (count < MANY) meanwhile();
    while (waitpid(child, NULL, 0) < 0);
    printf("%s %ld %ld wrong %ld\n", what, count, sum, flags & SA_NODEFER ? 0 : wrong);
}

static volatile unsigned long made;
static void computing(void) {
    for (int i = 0; i < 100000; i++) made = made * 31 + i;
}
static void calling(void) {
    for (int i = 0; i < 100; i++) getppid();
}
static void sleeping(void) { nanosleep(&(struct timespec){0, 2000000}, NULL); }

// The same from a thread: some to the process, some to this thread.
static pthread_t first;
static void *sender(void *unused) {
    (void)unused;
    sigset_t set = all_of_them();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < MANY; i++) {
        if (i % 4 < 2)
            queue(getpid(), SIGRTMIN + i % 4, i / 4);
        else
            while (pthread_sigqueue(first, SIGRTMIN + i % 4, (union sigval){.sival_int = i / 4}) == EAGAIN) usleep(100);
    }
    return NULL;
}

static void threads(const char *what, void (*meanwhile)(void)) {
    handle(add, 0);
    count = sum = wrong = 0;
    for (int i = 0; i < 4; i++) next[i] = 0;
    first = pthread_self();
    pthread_t thread;
    pthread_create(&thread, NULL, sender, NULL);
    while (count < MANY) meanwhile();
    pthread_join(thread, NULL);
    printf("%s %ld %ld wrong %ld\n", what, count, sum, wrong);
}

// Signals sent to a thread are handled by that thread: queued to it, and by a timer for it.
static _Atomic int ready, mine;
static pid_t worker;
static void whose(int signal) {
    (void)signal;
    count++;
    mine += gettid() == worker;
}

static void *working(void *until) {
    worker = gettid();
    ready = 1;
    while (count < *(int *)until) calling();
    return NULL;
}

static void directed(const char *what, int timer) {
    int until = timer ? 5 : 50;
    count = ready = mine = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, working, &until);
    while (!ready) usleep(100);
    signal(SIGRTMIN, whose);
    timer_t id;
    if (timer) {
        struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
        event._sigev_un._tid = worker;
        timer_create(CLOCK_MONOTONIC, &event, &id);
        timer_settime(id, 0, &(struct itimerspec){{0, 1000000}, {0, 1000000}}, NULL);
    }
    for (int i = 0; i < until && !timer; i++)
        while (pthread_sigqueue(thread, SIGRTMIN, (union sigval){.sival_int = i}) == EAGAIN) usleep(100);
    pthread_join(thread, NULL);
    if (timer) timer_delete(id);
    printf("%s, all by the thread: %d\n", what, mine == count);
}

// A signal that comes about when it is blocked has been handled then, or is waited for.
static volatile sig_atomic_t came;
static void comes(int signal) {
    (void)signal;
    came++;
}

static void blocked_meanwhile(void) {
    int go[2], waited = 0, rounds = 2000;
    signal(SIGUSR1, comes);
    sigset_t one, old;
    sigemptyset(&one), sigaddset(&one, SIGUSR1);
    pid_t parent = getpid();
    if (pipe(go)) return;
    pid_t child = fork();
    if (child == 0) {
        close(go[1]);
        char byte;
        for (int i = 0; read(go[0], &byte, 1) == 1; i++) {
            for (volatile int n = 0; n < i % 31 * 50; n++);
            kill(parent, SIGUSR1);
        }
        _exit(0);
    }
    for (int i = 0; i < rounds; i++) {
        int before = came, signal;
        if (write(go[1], "", 1) != 1) return;
        for (volatile int n = 0; n < i % 97 * 400; n++);
        sigprocmask(SIG_BLOCK, &one, &old);
        if (came == before) waited++, sigwait(&one, &signal);
        sigprocmask(SIG_SETMASK, &old, NULL);
    }
    close(go[1]);
    waitpid(child, NULL, 0);
    printf("blocked meanwhile: %d\n", waited + came);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    at_once("one after the other", 0);
    at_once("one upon the other", SA_NODEFER);
    suspended();
    flood("computing", computing, 0);
    flood("calling", calling, 0);
    flood("calling, nested", calling, SA_NODEFER);
    flood("sleeping", sleeping, SA_RESTART);
    threads("a thread, calling", calling);
    threads("a thread, computing", computing);
    directed("queued", 0);
    directed("timer", 1);
    blocked_meanwhile();
    return 0;
}
