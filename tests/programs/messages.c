/* Scattered and large transfers while other threads run: readv, recvmsg with ancillary data, recvmmsg, sendmmsg, reads beyond 1 MiB,
   poll, select, epoll, and what the kernel leaves alone when nothing came. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#define BIG (3 << 20)
static int stop[2];
static unsigned sum(const char *p, size_t n) {
    unsigned s = 0;
    for (size_t i = 0; i < n; i++)
        s = s * 31 + (unsigned char)p[i];
    return s;
}
/* Keeps a second thread alive, so that calls that wait give way. */
static void *linger(void *p) {
    char c;
    (void)p;
    return (void *)read(stop[0], &c, 1);
}
static void *feed(void *p) {
    char *data = malloc(BIG);
    for (int i = 0; i < BIG; i++)
        data[i] = (char)(i * 7);
    for (size_t at = 0; at < BIG;) {
        ssize_t n = write(*(int *)p, data + at, BIG - at);
        if (n < 0)
            break;
        at += (size_t)n;
    }
    close(*(int *)p);
    free(data);
    return 0;
}

int main(void) {
    pthread_t lingering, feeding;
    int s[2], p[2];
    if (pipe(stop) || socketpair(AF_UNIX, SOCK_DGRAM, 0, s) || pipe(p))
        return 1;
    pthread_create(&lingering, 0, linger, 0);

    /* More than a bounce buffer holds. */
    int stream[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, stream))
        return 1;
    pthread_create(&feeding, 0, feed, &stream[1]);
    char *big = malloc(BIG);
    ssize_t n = recv(stream[0], big, BIG, MSG_WAITALL);
    pthread_join(feeding, 0);
    printf("big: %zd %08x\n", n, sum(big, BIG));

    /* readv into three pieces, the last only partly. */
    char a[5], b[1], c[10] = "untouched";
    struct iovec v[] = {{a, 5}, {0, 0}, {b, 1}, {c, 10}};
    if (write(p[1], "hello world", 9) != 9)
        return 1;
    n = readv(p[0], v, 4);
    printf("readv: %zd %.5s|%c|%s\n", n, a, b[0], c);

    /* recvmsg: name, control data with descriptors, flags, truncation. */
    int fds[2] = {p[0], p[1]};
    char control[CMSG_SPACE(sizeof fds)], text[] = "with descriptors";
    memset(control, 0, sizeof control);
    struct iovec one = {text, sizeof text};
    struct msghdr m = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(h), fds, sizeof fds);
    printf("sendmsg: %zd\n", sendmsg(s[1], &m, 0));
    char in[2][4], back[256];
    struct sockaddr_un name;
    struct iovec two[] = {{in[0], 4}, {in[1], 4}};
    struct msghdr r = {.msg_iov = two, .msg_iovlen = 2, .msg_control = back, .msg_controllen = sizeof back, .msg_name = &name, .msg_namelen = sizeof name};
    n = recvmsg(s[0], &r, MSG_TRUNC);
    h = CMSG_FIRSTHDR(&r);
    memcpy(fds, CMSG_DATA(h), sizeof fds);
    printf("recvmsg: %zd %.8s name %u control %zu type %d truncated %d\n", n, in[0], r.msg_namelen, (size_t)r.msg_controllen, h->cmsg_type, !!(r.msg_flags & MSG_TRUNC));
    n = write(fds[1], "passed", 6);
    n = read(fds[0], in, 6);
    printf("passed: %zd %.6s\n", n, (char *)in);
    n = recvmsg(s[0], &r, MSG_DONTWAIT);
    printf("none: %zd %s\n", n, strerrorname_np(errno));

    struct mmsghdr many[4];
    struct iovec parts[4];
    char buffers[4][16];
    memset(many, 0, sizeof many);
    for (int i = 0; i < 4; i++) {
        snprintf(buffers[i], 16, "message %d", i);
        parts[i] = (struct iovec){buffers[i], (size_t)(9 - i)};
        many[i].msg_hdr.msg_iov = &parts[i];
        many[i].msg_hdr.msg_iovlen = 1;
    }
    int count = sendmmsg(s[1], many, 3, 0);
    printf("sendmmsg: %d, %u %u %u\n", count, many[0].msg_len, many[1].msg_len, many[2].msg_len);
    memset(buffers, '.', sizeof buffers);
    for (int i = 0; i < 4; i++)
        parts[i].iov_len = 16;
    struct timespec patience = {5, 0};
    count = recvmmsg(s[0], many, 4, MSG_WAITFORONE, &patience);
    printf("recvmmsg: %d,", count);
    for (int i = 0; i < 4; i++)
        printf(" %u %.10s", many[i].msg_len, buffers[i]);
    printf("\n");

    /* Waiting, and not waiting. */
    struct pollfd pf[2] = {{p[0], POLLIN, 77}, {p[1], POLLOUT, 0}};
    count = poll(pf, 2, -1);
    printf("poll: %d %d %d\n", count, pf[0].revents, pf[1].revents);
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(p[0], &readable);
    FD_SET(p[1], &writable);
    struct timeval tv = {30, 0};
    count = select(64, &readable, &writable, 0, &tv);
    printf("select: %d %d %d, left %d\n", count, !!FD_ISSET(p[0], &readable), !!FD_ISSET(p[1], &writable), tv.tv_sec >= 29);
    int status = 12345;
    pid_t child = fork();
    if (child == 0) {
        char byte;
        _exit(read(p[0], &byte, 1) == 1 ? 3 : 4);
    }
    pid_t none = waitpid(child, &status, WNOHANG);
    printf("not yet: %d, status kept %d\n", none, status);
    n = write(p[1], "!", 1);
    waitpid(child, &status, 0);
    printf("child: %d\n", WEXITSTATUS(status));

    int ep = epoll_create1(0), ev = eventfd(3, EFD_SEMAPHORE), tfd = timerfd_create(CLOCK_MONOTONIC, 0), ino = inotify_init1(IN_NONBLOCK);
    struct epoll_event e = {EPOLLIN, {.u64 = 0x1234567890}}, out[4];
    epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e);
    count = epoll_wait(ep, out, 4, -1);
    unsigned long value;
    n = read(ev, &value, 8);
    printf("epoll: %d %lx, eventfd %lu\n", count, (unsigned long)out[0].data.u64, value);
    struct itimerspec soon = {.it_value = {0, 1000000}}, left;
    timerfd_settime(tfd, 0, &soon, &left);
    n = read(tfd, &value, 8);
    printf("timerfd: %zd %lu\n", n, value);
    char dir[] = "/tmp/rdb-notify-XXXXXX", file[64], event[4096];
    if (!mkdtemp(dir))
        return 1;
    snprintf(file, sizeof file, "%s/f", dir);
    inotify_add_watch(ino, dir, IN_CREATE | IN_DELETE);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    unlink(file);
    rmdir(dir);
    n = read(ino, event, sizeof event);
    struct inotify_event *first = (void *)event;
    printf("inotify: %d %s\n", first->mask == IN_CREATE, first->name);
    int waiting = -1;
    n = write(p[1], "12345", 5);
    ioctl(p[0], FIONREAD, &waiting);
    printf("waiting: %d\n", waiting);

    n = write(stop[1], "x", 1);
    void *x;
    pthread_join(lingering, &x);
    printf("end: %ld\n", (long)x);
    return 0;
}
