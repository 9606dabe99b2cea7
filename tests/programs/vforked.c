// A child of vfork that is still in its parent's memory when another thread there begins to share memory with a third process: what
// that one writes, both of them see, and each only while it has the right to run.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 4000 };
static _Atomic(atomic_uint *) shared;
static atomic_uint in_child, done;

static void *forks(void *none) {
    (void)none;
    while (!atomic_load(&in_child))
        getppid();
    atomic_uint *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t writer = fork();
    if (writer == 0) {
        for (int i = 0; i < ROUNDS; i++) {
            p[0] += 7;
            getppid();
        }
        p[1] = 1;
        _exit(0);
    }
    atomic_store(&shared, p);
    unsigned seen = 0;
    while (p[1] == 0) {
        seen = seen * 31 + p[0];
        getppid();
    }
    int status;
    waitpid(writer, &status, 0);
    atomic_store(&done, 1);
    return (void *)(unsigned long)seen;
}

int main(void) {
    pthread_t thread;
    void *seen;
    pthread_create(&thread, NULL, forks, NULL);
    pid_t child = vfork();
    if (child == 0) {
        atomic_store(&in_child, 1);
        unsigned sum = 0;
        while (!atomic_load(&done)) {
            atomic_uint *p = atomic_load(&shared);
            sum = sum * 31 + (p ? p[0] : 0);
            // What it saw is in its calls: replay compares their arguments.
            fcntl(sum & 0x3ff, F_GETFD);
        }
        _exit(sum & 63);
    }
    int status;
    waitpid(child, &status, 0);
    pthread_join(thread, &seen);
    fcntl((unsigned)(unsigned long)seen & 0x3ff, F_GETFD);
    printf("%u\n", atomic_load(&shared)[0]);
    return 0;
}
