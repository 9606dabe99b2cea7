/* Mappings. */
ACT(mapped_and_moved) {
    size_t n = (1 + size % 8) * 4096;
    unsigned char *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    fill(p, n, seed);
    unsigned h = sum(p, n);
    p = mremap(p, n, 2 * n, MREMAP_MAYMOVE);
    CHECK(p != MAP_FAILED && sum(p, n) == h);
    fill(p + n, n, seed + 1);
    CHECK(mprotect(p, 4096, PROT_READ) == 0 && madvise(p + n, n, seed & 1 ? MADV_DONTNEED : MADV_NORMAL) == 0);
    h = mix(h, sum(p + n, n));
    p = mremap(p, 2 * n, n, 0);
    CHECK(p != MAP_FAILED && munmap(p, n) == 0);
    return h;
}
ACT(resident) {
    unsigned char *p = mmap(0, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), there[64];
    CHECK(p != MAP_FAILED);
    for (unsigned i = 0; i < size % 64; i++)
        p[4096 * (mix(seed, i) % 64)] = 1;
    memset(there, 0x55, sizeof there);
    CHECK(mincore(p, 64 * 4096, there) == 0);
    for (int i = 0; i < 64; i++)
        CHECK((there[i] & 0xfe) == 0);
    CHECK(munmap(p, 64 * 4096) == 0 && mincore(p, 4096, there) < 0 && errno == ENOMEM);
    return seed;
}
ACT(mapped_file) {
    char name[80];
    file_name(name, seed, "m");
    int fd = open(name, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 3 * 4096) == 0);
    unsigned char *own = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), back[100];
    unsigned char *second = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
    CHECK(own != MAP_FAILED && second != MAP_FAILED);
    fill(own + 4096, 4096, seed);
    unsigned h = sum(second, 4096);
    CHECK(pwrite(fd, "written", 7, 4096 + 50) == 7);
    h = mix(h, sum(second, 4096));
    fill(second, 64, seed + size);
    CHECK(msync(own, 3 * 4096, MS_SYNC) == 0 && pread(fd, back, sizeof back, 4090) == sizeof back);
    h = mix(h, sum(back, sizeof back));
    munmap(own, 3 * 4096), munmap(second, 4096);
    close(fd), unlink(name);
    return h;
}
ACT(private_file) {
    int fd = memfd_create("m", MFD_CLOEXEC);
    unsigned char data[5000];
    fill(data, sizeof data, seed);
    CHECK(fd >= 0);
    all_out(fd, data, sizeof data);
    unsigned char *p = mmap(0, sizeof data, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    p[size % 5000] ^= 0xff;
    unsigned h = sum(p, 8192);
    munmap(p, sizeof data), close(fd);
    return h;
}
ACT(heap) {
    void *blocks[64] = {0};
    unsigned h = seed;
    for (unsigned i = 0; i < size * 8; i++) {
        unsigned k = mix(seed, i), at = k % 64;
        free(blocks[at]);
        size_t n = k % 7 == 0 ? 200000 : k % 3000 + 4;
        blocks[at] = k % 5 ? malloc(n) : calloc(n, 1);
        CHECK(blocks[at]);
        *(unsigned *)blocks[at] = k;
        blocks[at] = realloc(blocks[at], n + k % 500);
        h = mix(h, *(unsigned *)blocks[at]);
    }
    for (int i = 0; i < 64; i++)
        free(blocks[i]);
    return h;
}
ALONE(broken) {
    char *now = sbrk(0);
    CHECK(sbrk((long)(size % 10 * 4096)) == now);
    fill(now, size % 10 * 4096, seed);
    unsigned h = sum(now, size % 10 * 4096);
    CHECK(brk(now) == 0);
    return h;
}
static sigjmp_buf from_fault;
static volatile int faults;
static void jumps(int signal) { faults++; siglongjmp(from_fault, signal); }
static char *volatile fault_page;
static void opens(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    CHECK(info->si_addr == fault_page + 123);
    mprotect(fault_page, 4096, PROT_READ | PROT_WRITE);
}
ALONE(faulting) {
    char *p = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fault_page = p;
    faults = 0;
    handle(SIGSEGV, jumps, 0), handle(SIGFPE, jumps, SA_NODEFER), handle(SIGILL, jumps, 0), handle(SIGTRAP, jumps, 0);
    for (unsigned i = 0; i < 4 + size % 8; i++) {
        unsigned kind = mix(seed, i) % 4;
        if (sigsetjmp(from_fault, 1) == 0) {
            volatile int zero = 0;
            if (kind == 0)
                p[i] = 1;
            else if (kind == 1)
                faults += 100 / zero;
            else if (kind == 2)
                __asm__ volatile("ud2");
            else
                __asm__ volatile("int3");
        }
    }
    struct sigaction a = {.sa_sigaction = opens, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &a, 0);
    p[123] = (char)seed;
    signal(SIGSEGV, SIG_DFL), signal(SIGFPE, SIG_DFL), signal(SIGILL, SIG_DFL), signal(SIGTRAP, SIG_DFL);
    unsigned h = mix((unsigned)faults, (unsigned char)p[123]);
    munmap(p, 4096);
    return h;
}
