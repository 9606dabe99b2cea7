/* Loops without system calls: who waits for one must come to run, and signals must be delivered in it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int ready, rings;
static pthread_spinlock_t lock;
static long shared;

static void ring(int signal) { (void)signal; rings++; }

/* A flag, in memory alone. */
static void *set_later(void *unused) {
    volatile long turns = 0;
    while (turns < 30000000) turns++;
    ready = 1;
    return unused;
}

static void flags(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, set_later, NULL);
    while (!ready) {}
    pthread_join(thread, NULL);
    printf("flag %d\n", ready);
}

/* Rounds that only floating point registers tell apart. */
static void *add_up(void *to) {
    double x = 0, step = 0.5;
    __asm__ volatile("1: addsd %1, %0\n ucomisd %2, %0\n jb 1b" : "+x"(x) : "x"(step), "x"(2e7) : "cc");
    *(double *)to = x;
    return NULL;
}

/* Rounds of instructions shorter than a jump, entered in their middle. */
static void *count_down(void *to) {
    long n = 50000000, m = 0;
    __asm__ volatile("jmp 2f\n 1: inc %1\n 2: dec %0\n jnz 1b" : "+r"(n), "+r"(m)::"cc");
    *(long *)to = m;
    return NULL;
}

static void computations(void) {
    pthread_t threads[4];
    double sums[2];
    long counts[2];
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, add_up, &sums[i]);
        pthread_create(&threads[2 + i], NULL, count_down, &counts[i]);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    printf("sums %.0f %.0f counts %ld %ld\n", sums[0], sums[1], counts[0], counts[1]);
}

static void *locked(void *unused) {
    for (int i = 0; i < 3000; i++) {
        pthread_spin_lock(&lock);
        for (volatile int j = 0; j < 1000; j++) shared++;
        pthread_spin_unlock(&lock);
    }
    return unused;
}

static void spin_locks(void) {
    pthread_t threads[3];
    pthread_spin_init(&lock, 0);
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, locked, NULL);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    printf("shared %ld\n", shared);
}

/* Whether what a race brings forth is told again. */
static void *race(void *unused) {
    for (volatile long i = 0; i < 20000000; i++) shared = shared + 1;
    return unused;
}

static void races(void) {
    pthread_t threads[2];
    shared = 0;
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, race, NULL);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    printf("raced to %ld\n", shared);
}

static void signals(void) {
    struct itimerval often = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = ring};
    unsigned long turns = 0;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    while (rings < 5) turns = turns * 6364136223846793005ul + 1442695040888963407ul;
    setitimer(ITIMER_REAL, &never, NULL);
    printf("rings at %lu\n", turns);
}

/* Inner loops that know nothing of the outer one's count. */
static long outer_table[64];

static void nested(void) {
    struct itimerval often = {{0, 15000}, {0, 15000}}, never = {{0, 0}, {0, 0}};
    volatile long i, j, k;
    long sum = 0;
    setitimer(ITIMER_REAL, &often, NULL);
    for (i = 0; rings < 8; i++) {
        outer_table[i & 63]++;
        for (j = 0; j < 50; j++)
            for (k = 0; k < 100; k++) {}
    }
    setitimer(ITIMER_REAL, &never, NULL);
    for (j = 0; j < 64; j++) sum += outer_table[j];
    printf("rounds %d\n", sum == i);
}

/* String instructions are interrupted between rounds, too. */
static void strings(void) {
    size_t size = 64 << 20;
    char *block = malloc(size);
    struct itimerval soon = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    int before = rings;
    setitimer(ITIMER_REAL, &soon, NULL);
    while (rings < before + 3) memset(block, rings, size);
    setitimer(ITIMER_REAL, &never, NULL);
    printf("block of %d\n", block[size / 2] >= before);
    free(block);
}

/* Two processes, each waiting for the other without a system call. */
static void processes(void) {
    volatile int *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (child == 0) {
        both[0] = 1;
        while (both[1] != 2) {}
        _exit(0);
    }
    while (both[0] != 1) {}
    both[1] = 2;
    waitpid(child, NULL, 0);
    printf("child %d, parent %d\n", both[0], both[1]);
}

int main(int count, char **which) {
    for (int i = 1; i < count; i++) {
        if (!strcmp(which[i], "flags")) flags();
        if (!strcmp(which[i], "computations")) computations();
        if (!strcmp(which[i], "locks")) spin_locks();
        if (!strcmp(which[i], "races")) races();
        if (!strcmp(which[i], "processes")) processes();
        if (!strcmp(which[i], "signals")) signals();
        if (!strcmp(which[i], "strings")) { signals(); strings(); }
        if (!strcmp(which[i], "nested")) { signals(); nested(); }
    }
    return 0;
}
