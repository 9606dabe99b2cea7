// Processes that share memory: an anonymous mapping, a mutex and a condition in it, a file, an atomic counter that is spun on.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t turned;
    int turn;
    atomic_int ready;
    long sums[4];
    char order[400];
    int written;
};

static void work(struct shared *s, int me) {
    atomic_fetch_add(&s->ready, 1);
    while (atomic_load(&s->ready) < 4)
        sched_yield();
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&s->mutex);
        while (s->turn != me)
            pthread_cond_wait(&s->turned, &s->mutex);
        s->order[s->written++] = (char)('a' + me);
        s->sums[me] += s->written;
        s->turn = (me + 1) % 4;
        pthread_cond_broadcast(&s->turned);
        pthread_mutex_unlock(&s->mutex);
    }
}

int main(void) {
    struct shared *s = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t ma;
    pthread_mutexattr_init(&ma);
    pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s->mutex, &ma);
    pthread_condattr_t ca;
    pthread_condattr_init(&ca);
    pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&s->turned, &ca);
    for (int me = 0; me < 4; me++)
        if (fork() == 0) {
            work(s, me);
            _exit(me);
        }
    int sum = 0, status;
    while (wait(&status) > 0)
        sum += WEXITSTATUS(status);
    printf("%d %.40s %d %ld\n", sum, s->order, s->written, s->sums[0] + s->sums[1] + s->sums[2] + s->sums[3]);
    fflush(stdout);

    // A file that two processes map, and one writes with write(2).
    int fd = open("shared.bin", O_RDWR | O_CREAT | O_TRUNC, 0600);
    ftruncate(fd, 8192);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int there[2], back[2];
    pipe(there), pipe(back);
    pid_t child = fork();
    if (child == 0) {
        char c;
        char *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
        strcpy(p, "from the child");
        pwrite(fd, "by a call", 9, 4096);
        printf("child sees %s\n", q);
        fflush(stdout);
        write(back[1], "x", 1);
        read(there[0], &c, 1);
        printf("child sees %s, %s\n", p, q);
        fflush(stdout);
        munmap(q, 4096);
        _exit(0);
    }
    char c;
    read(back[0], &c, 1);
    printf("parent sees %s, %s\n", p, p + 4096);
    fflush(stdout);
    strcpy(p + 100, "unseen");
    memcpy(p, "FROM", 4);
    pwrite(fd, "BY", 2, 4096);
    write(there[1], "x", 1);
    waitpid(child, &status, 0);
    // A child that dies holding the mutex.
    if (fork() == 0) {
        pthread_mutex_lock(&s->mutex);
        s->turn = 77;
        raise(SIGKILL);
    }
    wait(&status);
    int r = pthread_mutex_lock(&s->mutex);
    printf("%d %s %d\n", WTERMSIG(status), r == EOWNERDEAD ? "EOWNERDEAD" : strerror(r), s->turn);
    return 0;
}
