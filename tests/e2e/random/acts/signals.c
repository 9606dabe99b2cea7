/* Signals. */
static volatile sig_atomic_t seen[65], depth, raises;
static void sees(int signal) { seen[signal]++; }
static void nests(int signal) {
    seen[signal]++;
    /* One that comes while its handler runs comes again behind it: without an end of it, forever. */
    if (++depth < 5 && raises-- > 0)
        raise(signal == SIGUSR1 ? SIGUSR2 : SIGUSR1);
    depth--;
}
static unsigned counted(void) {
    unsigned h = 0;
    for (int i = 1; i < 65; i++)
        if (i != SIGALRM)
            h = mix(h, (unsigned)seen[i]), seen[i] = 0;
    return h;
}
ALONE(nested) {
    handle(SIGUSR1, nests, SA_NODEFER), handle(SIGUSR2, nests, seed & 1 ? SA_NODEFER : 0);
    raises = 500;
    for (unsigned i = 0; i < size; i++)
        raise(i & 1 ? SIGUSR1 : SIGUSR2);
    signal(SIGUSR1, SIG_DFL), signal(SIGUSR2, SIG_DFL);
    return counted();
}
static volatile unsigned on_stack;
static char *volatile stack_at;
static void looks(int signal) {
    char here;
    seen[signal]++;
    on_stack += &here > stack_at && &here < stack_at + 65536;
}
ALONE(other_stack) {
    stack_at = malloc(65536);
    stack_t new = {.ss_sp = stack_at, .ss_size = 65536}, none = {.ss_flags = SS_DISABLE}, old;
    CHECK(sigaltstack(&new, &old) == 0);
    handle(SIGUSR1, looks, SA_ONSTACK | SA_NODEFER), handle(SIGUSR2, looks, 0);
    on_stack = 0;
    for (unsigned i = 0; i < size % 20; i++)
        raise((seed >> (i % 16)) & 1 ? SIGUSR1 : SIGUSR2);
    CHECK(sigaltstack(&none, 0) == 0);
    signal(SIGUSR1, SIG_DFL), signal(SIGUSR2, SIG_DFL);
    free(stack_at);
    return mix(on_stack, counted());
}
static sigjmp_buf out;
static void leaves(int signal) { seen[signal]++; siglongjmp(out, signal); }
ALONE(jumped_out) {
    handle(SIGUSR1, leaves, 0);
    volatile unsigned n = 0;
    while (n < size % 30) {
        if (sigsetjmp(out, 1) == 0) {
            n++;
            double x = n * 1.5;
            raise(SIGUSR1);
            CHECK(x < 0);
        }
    }
    signal(SIGUSR1, SIG_DFL);
    return mix(counted(), n);
}
ALONE(masked) {
    sigset_t two, old, pending;
    sigemptyset(&two), sigaddset(&two, SIGUSR1), sigaddset(&two, SIGRTMIN);
    if (seed & 1)
        sigaddset(&two, SIGILL);
    handle(SIGUSR1, sees, 0), handle(SIGRTMIN, sees, 0);
    CHECK(sigprocmask(SIG_BLOCK, &two, &old) == 0);
    kill(getpid(), SIGUSR1), raise(SIGRTMIN);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1 && sigismember(&pending, SIGRTMIN) == 1);
    unsigned leaf = 0, b, c, d;
    __asm__ volatile("cpuid" : "+a"(leaf), "=b"(b), "=c"(c), "=d"(d));
    unsigned h = mix(leaf, (unsigned)seen[SIGUSR1]);
    if (seed & 2) {
        siginfo_t info;
        struct timespec limit = {5, 0};
        CHECK(AGAIN(sigtimedwait(&two, &info, &limit)) > 0);
        h = mix(h, (unsigned)info.si_code);
    } else if (seed & 4) {
        int fd = signalfd(-1, &two, SFD_CLOEXEC);
        struct signalfd_siginfo info;
        all_in(fd, &info, sizeof info);
        h = mix(h, info.ssi_signo);
        close(fd);
    } else {
        sigset_t none = old;
        while (!seen[SIGUSR1])
            sigsuspend(&none);
    }
    CHECK(sigprocmask(SIG_SETMASK, &old, 0) == 0);
    signal(SIGUSR1, SIG_DFL), signal(SIGRTMIN, SIG_DFL);
    return mix(mix(h, counted()), size);
}
/* Interrupted in computation. */
ALONE(timer_in_a_loop) {
    handle(SIGVTALRM, sees, SA_RESTART), handle(SIGPROF, sees, 0);
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    int which = seed & 1 ? ITIMER_VIRTUAL : ITIMER_PROF;
    CHECK(setitimer((__itimer_which_t)which, &often, 0) == 0);
    double x = 1;
    unsigned long y = seed;
    volatile sig_atomic_t *n = &seen[seed & 1 ? SIGVTALRM : SIGPROF];
    while (*n < 1 + (int)(size % 3))
        for (int i = 0; i < 1000; i++)
            x = x * 1.0000001 + 0.5, y = y * 6364136223846793005ul + 1442695040888963407ul;
    CHECK(setitimer((__itimer_which_t)which, &never, 0) == 0);
    CHECK(x > 0 && y != 1);
    seen[SIGVTALRM] = seen[SIGPROF] = 0;
    return seed;
}
struct target { pthread_t thread; volatile int ready, end; unsigned n; };
static void *is_sent(void *argument) {
    struct target *t = argument;
    t->ready = 1;
    while (!t->end) {
        nap(200000);
        t->n++;
    }
    return 0;
}
ALONE(sent_to_a_thread) {
    struct target t = {0};
    handle(SIGUSR2, sees, seed & 1 ? SA_RESTART : 0);
    CHECK(pthread_create(&t.thread, 0, is_sent, &t) == 0);
    while (!t.ready)
        sched_yield();
    for (unsigned i = 0; i < 2 + size; i++)
        CHECK(pthread_kill(t.thread, SIGUSR2) == 0), sched_yield();
    t.end = 1;
    CHECK(pthread_join(t.thread, 0) == 0);
    CHECK(seen[SIGUSR2] >= 1);
    seen[SIGUSR2] = 0;
    signal(SIGUSR2, SIG_DFL);
    return mix(seed, size);
}
/* What is left of a sleep. */
ALONE(interrupted_sleeps) {
    handle(SIGUSR1, sees, SA_RESTART);
    timer_t timer;
    struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, 700000}, {0, 700000}};
    CHECK(timer_create(CLOCK_MONOTONIC, &how, &timer) == 0 && timer_settime(timer, 0, &often, 0) == 0);
    for (unsigned i = 0; i < 1 + size % 3; i++) {
        struct timespec t = {0, 2500000}, left = {9, 9};
        int r = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &left);
        CHECK(r == 0 ? left.tv_sec == 9 : r == EINTR && left.tv_sec == 0 && left.tv_nsec < 2600000);
        int p[2];
        CHECK(pipe(p) == 0);
        struct pollfd f = {p[0], POLLIN, 0x55};
        long n = poll(&f, 1, 3);
        CHECK(n == 0 || (n < 0 && errno == EINTR));
        close(p[0]), close(p[1]);
    }
    CHECK(timer_delete(timer) == 0);
    signal(SIGUSR1, SIG_IGN), signal(SIGUSR1, SIG_DFL);
    seen[SIGUSR1] = 0;
    return seed;
}
static void *dies(void *argument) {
    nap(300000);
    return argument;
}
ALONE(child_signals) {
    handle(SIGCHLD, sees, SA_RESTART | SA_NOCLDSTOP);
    pid_t child = fork();
    if (child == 0)
        _exit((int)(seed & 31));
    pthread_t t;
    CHECK(pthread_create(&t, 0, dies, 0) == 0 && pthread_join(t, 0) == 0);
    unsigned h = (unsigned)ended(child);
    while (!seen[SIGCHLD])
        nap(100000);
    seen[SIGCHLD] = 0;
    signal(SIGCHLD, SIG_DFL);
    return mix(h, size);
}
