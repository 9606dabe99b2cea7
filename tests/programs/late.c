/* What the kernel writes for a thread that waits, another thread looks at in a loop without system calls. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int queue, ends[2];
static struct { long type; char text[64]; } message;
static char small[8] = "small", large[1 << 16];
static struct iovec parts[2] = {{small, sizeof small}, {large, sizeof large}};
static struct mmsghdr many[2];

static void *receive(void *p)
{
    return (void *)msgrcv(queue, &message, sizeof message.text, 0, 0);
}

static void *send_both(void *p)
{
    return (void *)(long)sendmmsg(ends[0], many, 2, 0);
}

/* Waits until the word is not 0, and ends with what it is. */
static unsigned watch(volatile unsigned *word)
{
    unsigned long rounds = 0;
    while (*word == 0)
        rounds++;
    return *word;
}

int main(void)
{
    pthread_t thread;
    void *got;
    queue = msgget(IPC_PRIVATE, 0600);
    if (queue < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        return 1;
    pid_t child = fork();
    if (child == 0) {
        struct { long type; char text[6]; } sent = {7, "hello"};
        usleep(30000);
        _exit(msgsnd(queue, &sent, sizeof sent.text, 0) != 0);
    }
    pthread_create(&thread, NULL, receive, NULL);
    unsigned type = watch((unsigned *)&message.type);
    pthread_join(thread, &got);
    waitpid(child, NULL, 0);
    msgctl(queue, IPC_RMID, NULL);
    printf("message %u, %s, %ld\n", type, message.text, (long)got);

    /* The first is sent, the second has no room. */
    int size = 4096;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    for (int i = 0; i < 2; i++)
        many[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    child = fork();
    if (child == 0) {
        char some[1 << 16];
        size_t all = 0;
        close(ends[0]);
        usleep(30000);
        for (ssize_t n; (n = read(ends[1], some, sizeof some)) > 0; all += (size_t)n)
            ;
        _exit(all != sizeof small + sizeof large);
    }
    pthread_create(&thread, NULL, send_both, NULL);
    unsigned sent = watch(&many[0].msg_len);
    pthread_join(thread, &got);
    close(ends[0]);
    close(ends[1]);
    int status;
    waitpid(child, &status, 0);
    printf("sent %u, %u, %ld, %d\n", sent, many[1].msg_len, (long)got, status);
    return 0;
}
