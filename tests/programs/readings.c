// Clocks read through the vDSO: all of them, in loops that nothing else ends, and while a signal or another thread waits.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t rang;
static volatile int flag;

static void ring(int signal) {
    rang = signal;
}

static void *set(void *unused) {
    flag = 1;
    return unused;
}

static long long now(clockid_t id) {
    struct timespec t;
    return clock_gettime(id, &t) == 0 ? t.tv_sec * 1000000000LL + t.tv_nsec : -1;
}

int main(void) {
    const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
    printf("image %d\n", image != NULL && memcmp(image, "\177ELF", 4) == 0);
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
                                       CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    long long sum = 0;
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        long long last = 0;
        for (int n = 0; n < 2000; n++) {
            long long t = now(clocks[i]);
            if (t < last)
                printf("clock %d went backward\n", (int)clocks[i]);
            last = t;
            sum ^= t;
        }
    }
    struct timeval tv;
    struct timezone tz;
    time_t seconds;
    unsigned cpu, node;
    printf("calls %d %d %d %d %d\n", gettimeofday(&tv, NULL), gettimeofday(&tv, &tz), time(&seconds) == seconds, time(NULL) >= seconds,
           getcpu(&cpu, &node));
    printf("no such clock %d, null %d\n", clock_gettime(99, &(struct timespec){0}), getcpu(NULL, NULL));

    signal(SIGALRM, ring);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 2000}}, NULL);
    while (!rang)
        sum ^= now(CLOCK_MONOTONIC);
    printf("signal %d\n", rang);

    pthread_t other;
    pthread_create(&other, NULL, set, NULL);
    while (!flag)
        sum ^= now(CLOCK_REALTIME);
    pthread_join(other, NULL);

    // What was read lies in memory, where a replay that read something else would differ.
    static char kept[32];
    snprintf(kept, sizeof kept, "%llx", sum);
    puts("done");
    return 0;
}
