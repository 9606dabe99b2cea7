/* Files. */
ACT(file_writes) {
    char name[80], back[4096];
    file_name(name, seed, "w");
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    unsigned h = seed;
    for (unsigned i = 0; i < size; i++) {
        char data[512];
        fill(data, sizeof data, seed + i);
        all_out(fd, data, 1 + (seed + i * 37) % sizeof data);
    }
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    long n;
    while ((n = AGAIN(read(fd, back, 1 + seed % sizeof back))) > 0)
        h = mix(h, sum(back, (size_t)n));
    close(fd);
    unlink(name);
    return h;
}
ACT(file_positions) {
    char name[80], data[256], back[256];
    file_name(name, seed, "p");
    int fd = open(name, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    unsigned h = 0;
    for (unsigned i = 0; i < size; i++) {
        fill(data, sizeof data, seed ^ i);
        off_t at = (off_t)(mix(seed, i) % 100000);
        CHECK(pwrite(fd, data, sizeof data, at) == sizeof data);
        long n = pread(fd, back, sizeof back, at ? at - at / 3 : 0);
        CHECK(n >= 0);
        h = mix(h, sum(back, (size_t)n));
    }
    CHECK(ftruncate(fd, seed % 5000) == 0);
    struct stat st;
    CHECK(fstat(fd, &st) == 0);
    close(fd);
    CHECK(unlink(name) == 0 && access(name, F_OK) < 0 && errno == ENOENT);
    return mix(h, (unsigned)st.st_size);
}
ACT(file_vectors) {
    char name[80], a[100], b[200], c[300];
    file_name(name, seed, "v");
    int fd = open(name, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    fill(a, sizeof a, seed), fill(b, sizeof b, seed + 1), fill(c, sizeof c, seed + 2);
    struct iovec v[] = {{a, sizeof a}, {b, sizeof b}, {c, sizeof c}};
    CHECK(AGAIN(writev(fd, v, 3)) == 600);
    CHECK(lseek(fd, (off_t)(seed % 50), SEEK_SET) >= 0);
    struct iovec w[] = {{c, 1 + size % 300}, {a, sizeof a}, {b, sizeof b}};
    long n = AGAIN(readv(fd, w, 3));
    struct iovec x[] = {{b, 33}, {0, 0}, {a, 44}};
    long m = preadv(fd, x, 3, 590);
    close(fd);
    unlink(name);
    return mix(mix(mix(sum(a, sizeof a), sum(b, sizeof b)), sum(c, sizeof c)), (unsigned)(n * 1000 + m));
}
ACT(file_names) {
    char name[80], other[80], link_[96], where[96] = "";
    file_name(name, seed, "n"), file_name(other, seed, "o"), file_name(link_, seed, "l");
    CHECK(mkdir(name, 0700) == 0 && mkdir(name, 0700) < 0 && errno == EEXIST);
    unsigned h = 0;
    for (unsigned i = 0; i < size % 20; i++) {
        char inner[128];
        sprintf(inner, "%s/%u", name, i);
        int fd = open(inner, O_CREAT | O_WRONLY | O_EXCL, 0600);
        CHECK(fd >= 0);
        close(fd);
    }
    CHECK(rename(name, other) == 0 && symlink(other, link_) == 0);
    CHECK(readlink(link_, where, sizeof where) == (long)strlen(other));
    DIR *d = opendir(link_);
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            char inner[384];
            sprintf(inner, "%s/%s", other, e->d_name);
            CHECK(unlink(inner) == 0);
            h += (unsigned)atoi(e->d_name) + 1;
        }
    closedir(d);
    CHECK(unlink(link_) == 0 && rmdir(other) == 0);
    return mix(h, seed);
}
ACT(file_copies) {
    char name[80], other[80], back[3000];
    file_name(name, seed, "a"), file_name(other, seed, "b");
    int a = open(name, O_RDWR | O_CREAT, 0600), b = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(a >= 0 && b >= 0);
    fill(back, sizeof back, seed);
    all_out(a, back, sizeof back);
    off_t from = (off_t)(seed % 100);
    CHECK(sendfile(b, a, &from, 500 + size % 500) > 0);
    loff_t in = 7, out = 1000;
    long n = copy_file_range(a, &in, b, &out, 900, 0);
    CHECK(n == 900 || n < 0);
    int c = dup(b);
    CHECK(c >= 0 && fcntl(c, F_GETFD) == 0 && fcntl(c, F_SETFD, FD_CLOEXEC) == 0);
    CHECK(flock(c, LOCK_EX) == 0);
    memset(back, 0, sizeof back);
    CHECK(pread(c, back, sizeof back, 0) >= 0);
    close(a), close(b), close(c);
    unlink(name), unlink(other);
    return mix((unsigned)from, sum(back, 1000));
}
ACT(file_faults) {
    char name[80];
    file_name(name, seed, "x");
    unsigned h = 0;
    CHECK(open("/nowhere/at/all", O_RDONLY) < 0), h = mix(h, (unsigned)errno);
    int fd = open(name, O_RDWR | O_CREAT, 0600);
    CHECK(write(fd, (void *)16, 10 + size) < 0), h = mix(h, (unsigned)errno);
    CHECK(write(fd, "abcdefgh", 8) == 8);
    CHECK(pread(fd, (void *)24, 8, 0) < 0), h = mix(h, (unsigned)errno);
    char *two = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(munmap(two + 4096, 4096) == 0);
    long n = pread(fd, two + 4092, 8, 0);
    h = mix(h, (unsigned)n), h = mix(h, sum(two + 4090, 6));
    munmap(two, 4096);
    CHECK(close(fd) == 0 && close(fd) < 0), h = mix(h, (unsigned)errno);
    unlink(name);
    return h;
}
