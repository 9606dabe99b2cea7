/* Pipes, sockets, and what waits for them. */
struct sent { int fd; unsigned seed, n; };
static void *sends(void *argument) {
    struct sent *s = argument;
    for (unsigned i = 0; i < s->n; i++) {
        unsigned word = mix(s->seed, i);
        all_out(s->fd, &word, sizeof word);
        if (word % 16 == 0)
            sched_yield();
    }
    close(s->fd);
    return 0;
}
ACT(pipe_of_a_thread) {
    int p[2];
    CHECK(pipe2(p, seed & 1 ? O_CLOEXEC : 0) == 0);
    struct sent s = {p[1], seed, size * 4};
    pthread_t t;
    CHECK(pthread_create(&t, 0, sends, &s) == 0);
    unsigned h = 0;
    for (unsigned i = 0; i < s.n; i++) {
        unsigned word;
        all_in(p[0], &word, sizeof word);
        h = mix(h, word);
    }
    char end;
    CHECK(AGAIN(read(p[0], &end, 1)) == 0);
    CHECK(pthread_join(t, 0) == 0);
    close(p[0]);
    return h;
}
ACT(poll_of_two) {
    int a[2], b[2];
    CHECK(pipe(a) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
    struct sent s = {a[1], seed, size}, u = {b[1], seed + 1, size};
    pthread_t t, v;
    CHECK(pthread_create(&t, 0, sends, &s) == 0 && pthread_create(&v, 0, sends, &u) == 0);
    unsigned sums[2] = {0, 0}, open_ = 2;
    struct pollfd f[2] = {{a[0], POLLIN, 0}, {b[0], POLLIN, 0}};
    while (open_) {
        struct timespec limit = {5, 0};
        long n = seed & 1 ? AGAIN(poll(f, 2, 5000)) : AGAIN(ppoll(f, 2, &limit, 0));
        CHECK(n > 0);
        for (int i = 0; i < 2; i++)
            if (f[i].fd >= 0 && f[i].revents) {
                unsigned char byte;
                if (AGAIN(read(f[i].fd, &byte, 1)) == 1)
                    sums[i] = sums[i] * 31 + byte;
                else
                    close(f[i].fd), f[i].fd = -1, open_--;
            }
    }
    pthread_join(t, 0), pthread_join(v, 0);
    return mix(sums[0], sums[1]);
}
ACT(select_with_limits) {
    int p[2];
    unsigned h = 0;
    CHECK(pipe(p) == 0 && p[1] < FD_SETSIZE);
    for (unsigned i = 0; i < 4; i++) {
        fd_set in, out;
        FD_ZERO(&in);
        FD_ZERO(&out);
        FD_SET(p[0], &in);
        if (i & 1)
            FD_SET(p[1], &out);
        struct timeval limit = {0, 1000 + seed % 3000};
        long n = select(p[1] + 1, &in, &out, 0, &limit);
        if (n < 0)
            continue;
        h = mix(h, (unsigned)(FD_ISSET(p[1], &out) != 0));
    }
    all_out(p[1], &size, sizeof size);
    fd_set in;
    FD_ZERO(&in);
    FD_SET(p[0], &in);
    CHECK(AGAIN(select(p[0] + 1, &in, 0, 0, 0)) == 1);
    close(p[0]), close(p[1]);
    return (void)h, seed;
}
ACT(epoll_and_events) {
    int e = epoll_create1(EPOLL_CLOEXEC), v = eventfd(seed % 3, EFD_NONBLOCK), t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    CHECK(e >= 0 && v >= 0 && t >= 0);
    struct epoll_event ev = {EPOLLIN, {.u32 = 1}}, et = {EPOLLIN | (seed & 1 ? EPOLLET : 0), {.u32 = 2}};
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, v, &ev) == 0 && epoll_ctl(e, EPOLL_CTL_ADD, t, &et) == 0);
    struct itimerspec often = {{0, 300000}, {0, 300000}};
    CHECK(timerfd_settime(t, 0, &often, 0) == 0);
    uint64_t total = seed % 3, one = 3, got = 0;
    unsigned expired = 0;
    for (unsigned i = 0; i < size; i++)
        total += one, CHECK(write(v, &one, 8) == 8);
    while (got < total || expired < 3) {
        struct epoll_event events[4];
        long n = AGAIN(epoll_wait(e, events, 4, 5000));
        CHECK(n > 0);
        for (long i = 0; i < n; i++) {
            uint64_t count;
            if (events[i].data.u32 == 1 && read(v, &count, 8) == 8)
                got += count;
            if (events[i].data.u32 == 2 && read(t, &count, 8) == 8)
                expired += count > 3 ? 3 : (unsigned)count;
        }
    }
    close(e), close(v), close(t);
    return mix((unsigned)got, seed);
}
ACT(messages_with_descriptors) {
    int s[2], p[2];
    CHECK(socketpair(AF_UNIX, seed & 1 ? SOCK_DGRAM : SOCK_SEQPACKET, 0, s) == 0 && pipe(p) == 0);
    char text[64], control[64] = {0};
    fill(text, sizeof text, seed);
    struct iovec v = {text, 1 + size % 64};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &p[1], sizeof(int));
    CHECK(AGAIN(sendmsg(s[0], &m, 0)) == (long)v.iov_len);
    char back[64] = {0};
    struct iovec w = {back, 5 + seed % 59};
    struct msghdr r = {.msg_iov = &w, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    long n = AGAIN(recvmsg(s[1], &r, seed & 2 ? MSG_TRUNC : 0));
    CHECK(n > 0);
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&r)), sizeof fd);
    all_out(fd, "through", 7);
    all_in(p[0], control, 7);
    close(fd), close(s[0]), close(s[1]), close(p[0]), close(p[1]);
    return mix(mix((unsigned)n, sum(back, sizeof back)), (unsigned)r.msg_flags & ~(unsigned)MSG_EOR);
}
struct server { int fd; };
static void *serves(void *argument) {
    struct server *s = argument;
    struct sockaddr_in from;
    socklen_t n = sizeof from;
    int c = (int)AGAIN(accept4(s->fd, (struct sockaddr *)&from, &n, SOCK_CLOEXEC));
    CHECK(c >= 0 && n == sizeof from);
    char block[100];
    for (long r; (r = AGAIN(recv(c, block, sizeof block, 0))) > 0;)
        for (long i = 0; i < r; i++)
            block[i] ^= 0x55, i + 1 == r ? all_out(c, block, (size_t)r) : (void)0;
    close(c);
    return 0;
}
ACT(internet) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof at;
    struct server s = {socket(AF_INET, SOCK_STREAM, 0)};
    CHECK(s.fd >= 0 && bind(s.fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(s.fd, 4) == 0);
    CHECK(getsockname(s.fd, (struct sockaddr *)&at, &n) == 0);
    pthread_t t;
    CHECK(pthread_create(&t, 0, serves, &s) == 0);
    int c = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    CHECK(connect(c, (struct sockaddr *)&at, sizeof at) == 0);
    setsockopt(c, IPPROTO_TCP, 1, &one, sizeof one);
    unsigned h = 0;
    for (unsigned i = 0; i < size % 30 + 1; i++) {
        char block[77], back[77];
        fill(block, sizeof block, seed + i);
        all_out(c, block, sizeof block), all_in(c, back, sizeof back);
        h = mix(h, sum(back, sizeof back));
    }
    shutdown(c, SHUT_WR);
    CHECK(pthread_join(t, 0) == 0);
    close(c), close(s.fd);
    return h;
}
ACT(spliced) {
    int a[2], b[2];
    char data[600], back[600];
    CHECK(pipe(a) == 0 && pipe(b) == 0);
    fill(data, sizeof data, seed);
    all_out(a[1], data, sizeof data);
    size_t first = 1 + (seed + size) % 599;
    CHECK(AGAIN(tee(a[0], b[1], first, 0)) == (long)first);
    all_in(b[0], back, first);
    unsigned h = sum(back, first);
    CHECK(AGAIN(splice(a[0], 0, b[1], 0, sizeof data, 0)) > 0);
    int waiting = 0;
    CHECK(ioctl(b[0], 0x541b, &waiting) == 0);
    all_in(b[0], back, (size_t)waiting);
    close(a[0]), close(a[1]), close(b[0]), close(b[1]);
    return mix(h, sum(back, (size_t)waiting));
}
