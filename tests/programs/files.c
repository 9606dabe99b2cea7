#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* A file is opened, written and read to the end whatever signals come: none of these calls waits. */
static volatile sig_atomic_t caught;
static void handler(int n) { (void)n; caught++; }

static long failed(const char *what, long ret)
{
    if (ret < 0) {
        printf("%s: %s\n", what, strerror(errno));
        fflush(stdout);
        _exit(1);
    }
    return ret;
}

int main(void)
{
    struct sigaction action = { .sa_handler = handler };
    struct itimerval often = { { 0, 100 }, { 0, 100 } };
    char buffer[64] = "";
    sigaction(SIGALRM, &action, 0);
    setitimer(ITIMER_REAL, &often, 0);
    for (int i = 0; i < 3000 || caught < 100; i++) {
        int fd = failed("open", open("a file", O_RDWR | O_CREAT | O_TRUNC, 0600));
        failed("write", write(fd, buffer, sizeof buffer));
        lseek(fd, 0, SEEK_SET);
        failed("read", read(fd, buffer, sizeof buffer));
        close(fd);
    }
    memset(&often, 0, sizeof often);
    setitimer(ITIMER_REAL, &often, 0);
    puts("done");
    return 0;
}
