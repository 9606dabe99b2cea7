// A counter that two threads count up without a lock, in less than a slice of time. With an argument: two processes, and the
// counter is in a file.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long count;

static void *work(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100000; i++)
        count = count + 1;
    return NULL;
}

static void in_file(int fd)
{
    for (int i = 0; i < 20; i++) {
        long n = 0;
        pread(fd, &n, sizeof n, 0);
        n++;
        pwrite(fd, &n, sizeof n, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
        pid_t child = fork();
        in_file(fd);
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
        long n = 0;
        pread(fd, &n, sizeof n, 0);
        printf("%ld\n", n);
        return 0;
    }
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("%ld\n", count);
    return 0;
}
