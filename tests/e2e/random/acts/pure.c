/* Computation. */
ACT(flags) {
    unsigned long a = seed, b = ~(unsigned long)size, h = 0;
    for (unsigned i = 0; i < size * 20; i++) {
        unsigned long f;
        __asm__ volatile("addq %3, %0; adcq $3, %1; rclq $7, %0; leaq -128(%%rsp), %%rsp; pushfq; popq %2; leaq 128(%%rsp), %%rsp" : "+&r"(a), "+&r"(b), "=&r"(f) : "r"(h) : "cc");
        h = h * 31 + (f & 0x8c1) + (a ^ b);
        if (h & 1)
            a ^= __builtin_bswap64(b);
    }
    return (unsigned)(h ^ h >> 32);
}
ACT(floats) {
    double x = 1 + seed % 100, y = 0.5;
    long double z = 1;
    for (unsigned i = 1; i < size * 10; i++) {
        x = sqrt(x * 1.25 + y), y = fabs(y - 1 / x);
        z = z * 1.0001L + (long double)x / i;
        if (z > 1e6L)
            z = 1;
    }
    return mix((unsigned)(x * 1e6), mix((unsigned)(y * 1e6), (unsigned)(z * 1e3L)));
}
ACT(vectors) {
    __m128i a = _mm_set1_epi32((int)seed), b = _mm_set_epi32(1, 2, 3, (int)size);
    __m128 x = _mm_set_ps(1, 2, 3, 4), y = _mm_set1_ps(1.5f);
    for (unsigned i = 0; i < size * 20; i++) {
        a = _mm_add_epi32(_mm_xor_si128(a, _mm_slli_epi32(b, 3)), _mm_shuffle_epi32(b, 0x1b));
        b = _mm_sub_epi16(b, _mm_srli_epi64(a, 5));
        x = _mm_add_ps(_mm_mul_ps(x, y), _mm_set1_ps(0.25f)), y = _mm_div_ps(y, _mm_sqrt_ps(x));
    }
    unsigned out_[8];
    _mm_storeu_si128((__m128i *)out_, a), _mm_storeu_si128((__m128i *)(out_ + 4), b);
    float last[4];
    _mm_storeu_ps(last, x);
    return mix(sum(out_, sizeof out_), sum(last, sizeof last));
}
__attribute__((target("avx2"))) static unsigned wide(unsigned seed, unsigned size) {
    __m256i a = _mm256_set1_epi32((int)seed), b = _mm256_set_epi32(1, 2, 3, 4, 5, 6, 7, 8);
    for (unsigned i = 0; i < size * 20; i++) {
        a = _mm256_add_epi32(a, _mm256_mullo_epi32(b, a));
        b = _mm256_xor_si256(b, _mm256_srli_epi32(a, 7));
        if (i % 64 == 0)
            sched_yield();
    }
    unsigned all[8];
    _mm256_storeu_si256((__m256i *)all, a);
    return sum(all, sizeof all);
}
ACT(wide_vectors) { return __builtin_cpu_supports("avx2") ? wide(seed, size) : seed; }
static int by_value(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return x < y ? -1 : x > y;
}
ACT(library) {
    unsigned *all = malloc(4 * (size * 10 + 1)), h = 0;
    for (unsigned i = 0; i < size * 10; i++)
        all[i] = mix(seed, i);
    qsort(all, size * 10, sizeof *all, by_value);
    char text[200], copy[200];
    for (unsigned i = 0; i < size; i++) {
        int n = snprintf(text, sizeof text, "%u %s %g %#x %5.2f|%-10d|", all[i], i & 1 ? "odd" : "even", all[i] / 7.0, i, i / 3.0, (int)i);
        memmove(copy, text, (size_t)n + 1);
        h = mix(h, (unsigned)(strlen(copy) + strtoul(copy, 0, 10)));
        h += strstr(copy, "odd") != 0;
    }
    free(all);
    return h;
}
ACT(clocks) {
    struct timespec a, b;
    struct timeval v;
    struct rusage r;
    for (unsigned i = 0; i < size; i++) {
        CHECK(clock_gettime(CLOCK_MONOTONIC, &a) == 0 && gettimeofday(&v, 0) == 0);
        unsigned long t = __rdtsc(), u = __rdtsc();
        CHECK(clock_gettime(CLOCK_MONOTONIC, &b) == 0 && u >= t);
        CHECK(b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
    }
    CHECK(getrusage(RUSAGE_SELF, &r) == 0 && time(0) > 0 && getppid() > 0 && sysconf(_SC_NPROCESSORS_ONLN) > 0);
    unsigned char bytes[16];
    CHECK(syscall(SYS_getrandom, bytes, sizeof bytes, 0) == sizeof bytes);
    return seed;
}
