// Priority-inheriting mutexes that many threads want: locked, tried, waited for with a limit, given up by the dead.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 6, ROUNDS = 1500 };

static pthread_mutex_t shared, robust, held;
static long counted, tried, late;

static void make(pthread_mutex_t *mutex, int is_robust)
{
    pthread_mutexattr_t how;
    pthread_mutexattr_init(&how);
    pthread_mutexattr_setprotocol(&how, PTHREAD_PRIO_INHERIT);
    if (is_robust)
        pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex, &how);
}

static void *work(void *seed)
{
    volatile long x = (long)seed;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 7 == (long)seed % 7 && pthread_mutex_trylock(&shared) == 0) {
            __atomic_fetch_add(&tried, 1, __ATOMIC_RELAXED);
        } else {
            pthread_mutex_lock(&shared);
        }
        counted++;
        for (int n = 0; n < 50; n++)
            x = x * 31 + n;
        if (i % 100 == 0)
            usleep(100);
        pthread_mutex_unlock(&shared);
        if (i % 50 == 0)
            usleep(20);
    }
    return NULL;
}

static void *die(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&robust);
    return NULL;
}

static void *wait_a_little(void *unused)
{
    (void)unused;
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += 30000000;
    if (limit.tv_nsec >= 1000000000) {
        limit.tv_nsec -= 1000000000;
        limit.tv_sec++;
    }
    if (pthread_mutex_timedlock(&held, &limit) == ETIMEDOUT)
        __atomic_fetch_add(&late, 1, __ATOMIC_RELAXED);
    return NULL;
}

int main(void)
{
    make(&shared, 0);
    make(&robust, 1);
    make(&held, 0);
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("counted %ld\n", counted);

    pthread_create(&threads[0], NULL, die, NULL);
    pthread_join(threads[0], NULL);
    int owner_died = pthread_mutex_lock(&robust);
    printf("robust: %s\n", strerror(owner_died));
    pthread_mutex_consistent(&robust);
    pthread_mutex_unlock(&robust);

    pthread_mutex_lock(&held);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, wait_a_little, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_unlock(&held);
    printf("late %ld\n", late);
    return 0;
}
