/* Threads that begin and end while signals flood in. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 40, AT_ONCE = 4, QUEUED = 400 };

static atomic_int handled, queued, over;
static _Thread_local volatile int own;

static void count(int signal) {
    if (signal == SIGRTMIN)
        queued++;
    else
        handled++;
    own++;
}

static void set(int signal) {
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    sigaction(signal, &action, 0);
}

/* Whatever thread has the process's signals unblocked gets them. */
static void *flood(void *unused) {
    (void)unused;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, 0);
    const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGCHLD, SIGWINCH};
    for (unsigned i = 0; !over; i++)
        kill(getpid(), signals[i % 8]);
    return 0;
}

static void *brief(void *argument) {
    double x = 1.5 * (long)argument;
    char bytes[256];
    memset(bytes, (int)(long)argument, sizeof bytes);
    for (int i = 0; i < 200; i++)
        x = x * 1.0000001 + bytes[i];
    return (void *)(long)(x > 0);
}

int main(void) {
    const int all[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGCHLD, SIGWINCH, SIGALRM, SIGRTMIN};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        set(all[i]);
    pthread_t flooding;
    pthread_create(&flooding, 0, flood, 0);
    struct itimerval often = {{0, 100}, {0, 100}};
    setitimer(ITIMER_REAL, &often, 0);
    long sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[AT_ONCE];
        for (long i = 0; i < AT_ONCE; i++)
            pthread_create(&threads[i], 0, brief, (void *)(i + 1));
        for (int i = 0; i < AT_ONCE; i++) {
            void *result;
            pthread_join(threads[i], &result);
            sum += (long)result;
        }
    }
    over = 1;
    pthread_join(flooding, 0);
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, 0);
    printf("%ld threads, flooded: %d\n", sum, handled > 10);

    /* Many at once, when they are let in. */
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &one, 0);
    for (int i = 0; i < QUEUED; i++)
        kill(getpid(), SIGRTMIN);
    sigprocmask(SIG_UNBLOCK, &one, 0);
    getppid();
    printf("let in: %d\n", queued > 0);
    return 0;
}
