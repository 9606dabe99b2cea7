/* One file mapped twice and more: what is written through one mapping is read through the others, at once. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static void check(int ok, const char *what)
{
    if (!ok) {
        printf("%s\n", what);
        exit(1);
    }
}

int main(void)
{
    char name[] = "/tmp/rdb-aliases-XXXXXX";
    int fd = mkstemp(name);
    check(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0, "no file");
    unlink(name);
    char *a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(a != MAP_FAILED, "first mapping");
    strcpy(a + 2 * PAGE + 8, "before");
    /* Overlaps the second half only; then another one, to read alone. */
    char *b = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE);
    char *c = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
    check(b != MAP_FAILED && c != MAP_FAILED, "other mappings");
    check(strcmp(b + 8, "before") == 0 && strcmp(c + PAGE + 8, "before") == 0, "content");
    volatile unsigned long *x = (unsigned long *)(a + 2 * PAGE), *y = (unsigned long *)b;
    unsigned long sum = 0;
    for (unsigned long i = 0; i < 200000; i++) {
        *x = i * 3;
        sum += *y ^ i;
        *y = sum;
        sum += *x;
    }
    printf("%lx %lx\n", sum, *(volatile unsigned long *)(c + PAGE));
    munmap(b, PAGE);
    b[PAGE] = 'q';
    a[PAGE] = 'w';
    printf("%c %c\n", a[3 * PAGE], c[0]);
    /* A child that shares them with us. */
    fflush(stdout);
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        for (int i = 0; i < 1000; i++)
            b[PAGE + 1] = (char)(a[3 * PAGE + 1] + 1);
        printf("child %d\n", a[3 * PAGE + 1]);
        exit(0);
    }
    int status;
    check(waitpid(child, &status, 0) == child && status == 0, "child");
    printf("parent %d %d\n", c[2 * PAGE + 1], b[PAGE + 1]);
    return 0;
}
