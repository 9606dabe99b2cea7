/* Threads: mutexes of all kinds, condition variables, cancellation, thread-local storage, many at once, many in turn. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, recursive, robust, inherit;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t ready;
static int sum, turn, destroyed, cleaned, inits;
static __thread int mine = 5;
static __thread char big[20000];

static void destroy(void *p) {
    pthread_mutex_lock(&lock);
    destroyed += (int)(long)p;
    pthread_mutex_unlock(&lock);
}
static void init(void) { inits++; }
static void *add(void *p) {
    pthread_once(&once, init);
    pthread_setspecific(key, p);
    mine += (int)(long)p;
    big[19999] = 1;
    for (int i = 0; i < 5; i++) {
        pthread_mutex_lock(&lock);
        sum += mine;
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&inherit);
    sum++;
    sched_yield();
    pthread_mutex_unlock(&inherit);
    pthread_rwlock_rdlock(&rw);
    int s = sum;
    pthread_rwlock_unlock(&rw);
    return (void *)(long)(s > 0);
}
static void *meet(void *p) {
    (void)p;
    return (void *)(long)(pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD);
}
static void *rounds(void *p) {
    int me = (int)(long)p;
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&lock);
        while (turn % 3 != me)
            pthread_cond_wait(&changed, &lock);
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return 0;
}
static void clean(void *p) { cleaned += (int)(long)p; }
static void *wait_for_ever(void *p) {
    int fds[2];
    char c;
    pthread_cleanup_push(clean, (void *)1);
    if (pipe(fds))
        return 0;
    if (p)
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, 0);
    sem_post(&ready);
    while (read(fds[0], &c, 1) != 0) {
    }
    pthread_cleanup_pop(0);
    return 0;
}
static void *die_holding(void *p) {
    pthread_mutex_lock(p);
    return 0;
}
static void *nothing(void *p) { return p; }
static void *waiter(void *p) {
    long r = pthread_mutex_lock(p);
    if (r == EOWNERDEAD)
        pthread_mutex_consistent(p);
    pthread_mutex_unlock(p);
    return (void *)r;
}
static void *open_reader(void *path) {
    int fd = open(path, O_RDONLY);
    char text[32];
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    return (void *)n;
}
static void *spare(void *p) {
    pthread_join(*(pthread_t *)p, 0);
    printf("main has ended before\n");
    fflush(stdout);
    return 0;
}

int main(void) {
    pthread_t t[300];
    void *r;
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &a);
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &a);
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&inherit, &a);
    pthread_key_create(&key, destroy);
    sem_init(&ready, 0, 0);

    for (long i = 0; i < 8; i++)
        pthread_create(&t[i], 0, add, (void *)(i + 1));
    long ok = 0;
    for (int i = 0; i < 8; i++) {
        pthread_join(t[i], &r);
        ok += (long)r;
    }
    printf("sum %d, destroyed %d, once %d, ok %ld, mine %d\n", sum, destroyed, inits, ok, mine);

    for (long i = 0; i < 3; i++)
        pthread_create(&t[i], 0, rounds, (void *)i);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], 0);
    printf("turns %d\n", turn);

    pthread_barrier_init(&barrier, 0, 200);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    int made = 0;
    while (made < 200 && pthread_create(&t[made], &small, meet, 0) == 0)
        made++;
    ok = 0;
    for (int i = 0; i < made; i++) {
        pthread_join(t[i], &r);
        ok += (long)r;
    }
    printf("met: %d, %ld serial\n", made, ok);

    for (int i = 0; i < 1000; i++) {
        pthread_create(&t[0], 0, nothing, 0);
        pthread_join(t[0], 0);
    }
    printf("in turn: 1000\n");

    for (long i = 0; i < 2; i++) {
        pthread_create(&t[0], 0, wait_for_ever, (void *)i);
        sem_wait(&ready);
        pthread_cancel(t[0]);
        pthread_join(t[0], &r);
        printf("cancelled: %d, cleaned %d\n", r == PTHREAD_CANCELED, cleaned);
    }

    pthread_create(&t[0], 0, die_holding, &robust);
    pthread_join(t[0], 0);
    int e = pthread_mutex_lock(&robust);
    printf("robust: %s\n", strerrorname_np(e));
    pthread_mutex_consistent(&robust);
    pthread_create(&t[0], 0, waiter, &robust);
    pthread_mutex_unlock(&robust);
    pthread_join(t[0], &r);
    printf("robust after: %ld\n", (long)r);

    struct timespec past = {1, 0};
    pthread_mutex_lock(&lock);
    e = pthread_cond_timedwait(&changed, &lock, &past);
    pthread_mutex_unlock(&lock);
    printf("timed out: %s\n", strerrorname_np(e));

    pthread_mutex_lock(&inherit);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], 0, waiter, &inherit);
    for (int i = 0; i < 20; i++)
        sched_yield();
    pthread_mutex_unlock(&inherit);
    ok = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &r);
        ok += (long)r;
    }
    printf("inherited: %ld\n", ok);

    char path[] = "/tmp/rdb-pipe-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    mkfifo(path, 0600);
    pthread_create(&t[0], 0, open_reader, path);
    int fd = open(path, O_WRONLY);
    ok = write(fd, "through a pipe", 14);
    pthread_join(t[0], &r);
    close(fd);
    unlink(path);
    printf("pipe: %ld written, %ld read\n", ok, (long)r);

    FILE *file = tmpfile();
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int up[2];
    if (pipe(up))
        return 1;
    fcntl(fileno(file), F_SETLK, &whole);
    pid_t child = fork();
    if (child == 0) {
        e = fcntl(fileno(file), F_SETLKW, &whole);
        _exit(write(up[1], "y", 1) == 1 ? e : 9);
    }
    whole.l_type = F_UNLCK;
    fcntl(fileno(file), F_SETLK, &whole);
    char c;
    ok = read(up[0], &c, 1);
    whole.l_type = F_WRLCK;
    e = fcntl(fileno(file), F_SETLKW, &whole);
    int status;
    waitpid(child, &status, 0);
    printf("locked: %ld %d %d\n", ok, e, status);

    pthread_t self = pthread_self();
    fflush(stdout);
    pthread_create(&t[0], 0, spare, &self);
    pthread_exit(0);
}
