/* Threads. */
struct shared {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_rwlock_t both;
    pthread_barrier_t all;
    pthread_spinlock_t spin;
    sem_t permits;
    _Atomic unsigned raced, claimed;
    unsigned counted, n, seed, head, tail, queue[16];
    volatile unsigned flag;
};
static void many(unsigned n, void *(*f)(void *), struct shared *s) {
    pthread_t t[8];
    for (unsigned i = 0; i < n; i++)
        CHECK(pthread_create(&t[i], 0, f, s) == 0);
    for (unsigned i = 0; i < n; i++)
        CHECK(pthread_join(t[i], 0) == 0);
}
static void *counts(void *argument) {
    struct shared *s = argument;
    for (unsigned i = 0; i < s->n; i++) {
        pthread_mutex_lock(&s->lock);
        s->counted += i;
        if (i % 8 == 0)
            sched_yield();
        pthread_mutex_unlock(&s->lock);
        s->raced++;
    }
    return 0;
}
ACT(mutexes) {
    struct shared s = {.n = size};
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, (int)(seed % 3));
    if (seed & 8)
        pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
    if (seed & 16)
        pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s.lock, &kind);
    many(2 + seed % 5, counts, &s);
    return mix(s.counted, s.raced);
}
static void *takes(void *argument) {
    struct shared *s = argument;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->head == s->tail && s->flag == 0)
            pthread_cond_wait(&s->changed, &s->lock);
        if (s->head == s->tail)
            break;
        s->counted += s->queue[s->tail++ % 16];
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return 0;
}
ACT(queue) {
    struct shared s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&t[i], 0, takes, &s) == 0);
    for (unsigned i = 0; i < size * 2; i++) {
        pthread_mutex_lock(&s.lock);
        while (s.head - s.tail == 16)
            pthread_cond_wait(&s.changed, &s.lock);
        s.queue[s.head++ % 16] = mix(seed, i);
        pthread_cond_broadcast(&s.changed);
        pthread_mutex_unlock(&s.lock);
    }
    pthread_mutex_lock(&s.lock);
    s.flag = 1;
    pthread_cond_broadcast(&s.changed);
    pthread_mutex_unlock(&s.lock);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], 0);
    return s.counted;
}
static void *reads_and_writes(void *argument) {
    struct shared *s = argument;
    unsigned last = 0;
    for (unsigned i = 0; i < s->n; i++) {
        if (i % 4 == 0) {
            pthread_rwlock_wrlock(&s->both);
            s->counted++;
        } else {
            pthread_rwlock_rdlock(&s->both);
            CHECK(s->counted >= last);
            last = s->counted;
        }
        pthread_rwlock_unlock(&s->both);
        sem_wait(&s->permits);
        s->raced++;
        sem_post(&s->permits);
    }
    return 0;
}
ACT(readers_and_writers) {
    struct shared s = {.n = size};
    pthread_rwlock_init(&s.both, 0);
    sem_init(&s.permits, 0, 1 + seed % 2);
    many(4, reads_and_writes, &s);
    return mix(s.counted, s.raced);
}
static void *meets(void *argument) {
    struct shared *s = argument;
    for (unsigned i = 0; i < s->n % 10 + 1; i++) {
        if (pthread_barrier_wait(&s->all) == PTHREAD_BARRIER_SERIAL_THREAD)
            s->counted++;
        pthread_spin_lock(&s->spin);
        s->head += i;
        pthread_spin_unlock(&s->spin);
    }
    return 0;
}
ACT(barriers) {
    struct shared s = {.n = size};
    unsigned n = 2 + seed % 4;
    pthread_barrier_init(&s.all, 0, n);
    pthread_spin_init(&s.spin, 0);
    many(n, meets, &s);
    return mix(s.counted, s.head);
}
/* What the race brings forth is for the recording alone to say: it must be the same in replay. */
static void *races(void *argument) {
    struct shared *s = argument;
    volatile unsigned *bare = &s->counted;
    for (unsigned i = 0; i < s->n * 100; i++) {
        *bare = *bare * 3 + 1;
        unsigned expected = s->claimed;
        while (!atomic_compare_exchange_weak(&s->claimed, &expected, expected + 1))
            ;
        atomic_fetch_xor(&s->raced, i);
    }
    return 0;
}
ACT(race) {
    struct shared s = {.n = size};
    many(2, races, &s);
    return s.claimed;
}
static void *spins(void *argument) {
    struct shared *s = argument;
    while (!s->flag)
        s->queue[0]++;
    return 0;
}
ACT(spinning) {
    struct shared s = {0};
    pthread_t t;
    CHECK(pthread_create(&t, 0, spins, &s) == 0);
    double x = seed;
    for (unsigned i = 0; i < size * 2000; i++)
        x = x * 0.99 + i;
    s.flag = 1;
    CHECK(pthread_join(t, 0) == 0);
    return (unsigned)x;
}
static _Thread_local unsigned own[100];
static void *owns(void *argument) {
    struct shared *s = argument;
    unsigned me = s->claimed++, h = 0;
    for (unsigned i = 0; i < 100; i++)
        own[i] = me;
    sched_yield();
    for (unsigned i = 0; i < 100; i++)
        h += own[i] == me;
    s->raced += h;
    return 0;
}
ACT(thread_locals) {
    struct shared s = {0};
    for (unsigned i = 0; i < 1 + size % 6; i++)
        many(4, owns, &s);
    return mix(s.raced, s.claimed);
}
static void cleans(void *argument) { ((struct shared *)argument)->counted++; }
static void *waits(void *argument) {
    struct shared *s = argument;
    pthread_cleanup_push(cleans, s);
    s->flag = 1;
    for (;;)
        if (s->seed & 1)
            pause();
        else
            nap(100000000), pthread_testcancel();
    pthread_cleanup_pop(0);
    return 0;
}
ACT(cancelled) {
    struct shared s = {.seed = seed};
    pthread_t t;
    void *result;
    CHECK(pthread_create(&t, 0, waits, &s) == 0);
    while (!s.flag)
        sched_yield();
    CHECK(pthread_cancel(t) == 0 && pthread_join(t, &result) == 0);
    return mix(s.counted, result == PTHREAD_CANCELED) + (size & 0);
}
static void *detached(void *argument) {
    struct shared *s = argument;
    s->raced++;
    sem_post(&s->permits);
    return 0;
}
ACT(let_go) {
    static struct shared s;
    struct shared *p = &s;
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one);
    sem_init(&p->permits, 0, 0);
    for (unsigned i = 0; i < size % 12; i++) {
        pthread_t t;
        CHECK(pthread_create(&t, 0, detached, p) == 0 && pthread_detach(t) == 0);
    }
    for (unsigned i = 0; i < size % 12; i++)
        while (sem_wait(&p->permits) < 0)
            ;
    pthread_mutex_unlock(&one);
    return seed;
}
ACT(timed_waits) {
    struct shared s = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 1000000 * (long)(size % 4);
    until.tv_sec += until.tv_nsec / 1000000000, until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&s.lock);
    int r = 0;
    while (r == 0)
        r = pthread_cond_timedwait(&s.changed, &s.lock, &until);
    pthread_mutex_unlock(&s.lock);
    return mix((unsigned)r, seed);
}
