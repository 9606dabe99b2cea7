/* Children. */
extern char **environ;
ACT(children) {
    unsigned h = 0;
    pid_t all[4];
    unsigned n = 1 + size % 4;
    for (unsigned i = 0; i < n; i++) {
        all[i] = fork();
        CHECK(all[i] >= 0);
        if (all[i] == 0) {
            char *p = malloc(3000);
            fill(p, 3000, seed + i);
            _exit((int)(sum(p, 3000) & 63));
        }
    }
    for (unsigned i = 0; i < n; i++)
        h = mix(h, (unsigned)ended(all[i]));
    return h;
}
ACT(grandchildren) {
    int p[2];
    CHECK(pipe(p) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            unsigned word = mix(seed, size);
            all_out(p[1], &word, sizeof word);
            _exit(3);
        }
        _exit(WEXITSTATUS(ended(grandchild)) + 1);
    }
    unsigned word;
    all_in(p[0], &word, sizeof word);
    close(p[0]), close(p[1]);
    return mix(word, (unsigned)WEXITSTATUS(ended(child)));
}
ACT(executed) {
    int p[2];
    CHECK(pipe2(p, O_CLOEXEC) == 0);
    char script[80], back[64] = "";
    sprintf(script, "echo $((%u + %u)); exit %u", seed % 1000, size, seed % 7);
    char *const words[] = {"sh", "-c", script, 0};
    pid_t child;
    if (seed & 1) {
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, p[1], 1);
        CHECK(posix_spawn(&child, "/bin/sh", &actions, 0, words, environ) == 0);
        posix_spawn_file_actions_destroy(&actions);
    } else if (seed & 2) {
        child = vfork();
        if (child == 0) {
            dup2(p[1], 1);
            execve("/bin/sh", words, environ);
            _exit(98);
        }
    } else {
        child = fork();
        if (child == 0) {
            dup2(p[1], 1);
            execv("/bin/sh", words);
            _exit(98);
        }
    }
    close(p[1]);
    long n = AGAIN(read(p[0], back, sizeof back));
    close(p[0]);
    CHECK(n > 0);
    return mix(sum(back, (size_t)n), (unsigned)ended(child));
}
ACT(killed) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGTERM, SIG_DFL);
        for (;;)
            pause();
    }
    int status = 0;
    if (size % 3 == 0) {
        CHECK(kill(child, SIGSTOP) == 0);
        CHECK(AGAIN(waitpid(child, &status, WUNTRACED)) == child && WIFSTOPPED(status));
        CHECK(kill(child, SIGCONT) == 0);
    }
    CHECK(kill(child, seed & 1 ? SIGKILL : SIGTERM) == 0);
    siginfo_t info;
    CHECK(AGAIN(waitid(P_PID, (id_t)child, &info, WEXITED)) == 0 && info.si_pid == child);
    return mix((unsigned)info.si_status, (unsigned)info.si_code);
}
/* Memory of both, one after the other and at once. */
ACT(shared_with_a_child) {
    _Atomic unsigned *p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    pid_t child = fork();
    CHECK(child >= 0);
    for (unsigned i = 0; i < size; i++) {
        p[0]++;
        if (child == 0)
            p[100 + i % 1000] = mix(seed, i);
    }
    if (child == 0) {
        p[1] = 1;
        syscall(SYS_futex, &p[1], FUTEX_WAKE, 1, 0, 0, 0);
        _exit(0);
    }
    while (p[1] == 0)
        syscall(SYS_futex, &p[1], FUTEX_WAIT, 0, 0, 0, 0);
    CHECK(ended(child) == 0);
    unsigned h = mix(p[0], sum((void *)(p + 100), 4000));
    munmap(p, 8192);
    return h;
}
/* One stops itself while others go on in memory that it shares. */
ACT(stops_itself) {
    _Atomic unsigned *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        p[0] = seed;
        raise(SIGSTOP);
        _exit((int)(p[1] & 63));
    }
    int status;
    CHECK(AGAIN(waitpid(child, &status, WUNTRACED)) == child && WIFSTOPPED(status));
    p[1] = p[0] + size;
    CHECK(kill(child, SIGCONT) == 0);
    unsigned h = mix(p[0], (unsigned)ended(child));
    munmap(p, 4096);
    return h;
}
