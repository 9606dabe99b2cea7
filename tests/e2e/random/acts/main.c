/* How acts are run. */
struct act { unsigned (*run)(unsigned, unsigned); const char *name; unsigned seed, size, result; };

static void now(struct act *a) {
    a->result = a->run(a->seed, a->size);
    printf("%s(%u, %u) = %u\n", a->name, a->seed, a->size, a->result);
    fflush(stdout);
}
static void *acts_in_thread(void *argument) {
    struct act *a = argument;
    a->result = a->run(a->seed, a->size);
    return 0;
}
static void at_once(struct act *a, unsigned n) {
    pthread_t t[8];
    for (unsigned i = 0; i < n; i++)
        CHECK(pthread_create(&t[i], 0, acts_in_thread, &a[i]) == 0);
    for (unsigned i = 0; i < n; i++) {
        CHECK(pthread_join(t[i], 0) == 0);
        printf("beside others: %s(%u, %u) = %u\n", a[i].name, a[i].seed, a[i].size, a[i].result);
    }
    fflush(stdout);
}
static void in_child(struct act *a, unsigned n) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (unsigned i = 0; i < n; i++)
            now(&a[i]);
        exit(7);
    }
    CHECK(ended(child) == 7 << 8);
}
static void in_thread_of_child(struct act *a, unsigned n) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        at_once(a, n);
        exit(8);
    }
    CHECK(ended(child) == 8 << 8);
}
static volatile sig_atomic_t rung;
static void rings(int signal) { (void)signal, rung++; }
/* A timer from here on, or none. */
static void ring(long microseconds) {
    struct itimerval often = {{0, microseconds}, {0, microseconds}};
    CHECK(setitimer(ITIMER_REAL, &often, 0) == 0);
}
static void begin(void) { handle(SIGALRM, rings, SA_RESTART); }
