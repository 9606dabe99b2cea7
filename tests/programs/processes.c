/* Children and descriptors: fork with state to inherit, vfork, clone with a stack of its own, closing and replacing everything,
   execution of oneself through /proc, standard streams closed. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static volatile int on_alt;
static char area[65536];
static void where(int sig) {
    char here;
    (void)sig;
    on_alt = &here > area && &here < area + sizeof area;
}
static int child_main(void *p) {
    char here;
    _exit(&here > (char *)p && &here < (char *)p + 65536 ? 21 : 22);
}
static int wait_for(pid_t pid) {
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("again: %s %s, stdin %d\n", argv[0], argv[1], fcntl(0, F_GETFD));
        return argc > 2 ? 0 : 5;
    }
    setvbuf(stdout, 0, _IOLBF, 0);
    /* What a forked child inherits: alternate stack, handlers, mask. */
    stack_t alt = {.ss_sp = area, .ss_size = sizeof area}, got;
    sigaltstack(&alt, 0);
    struct sigaction a = {.sa_handler = where, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &a, 0);
    sigset_t segv, old;
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    sigaddset(&segv, SIGTRAP);
    sigprocmask(SIG_BLOCK, &segv, 0);
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGUSR1);
        sigaltstack(0, &got);
        sigprocmask(SIG_BLOCK, 0, &old);
        _exit((got.ss_sp == area) | on_alt << 1 | sigismember(&old, SIGSEGV) << 2 | sigismember(&old, SIGTRAP) << 3 | (getppid() > 0) << 4);
    }
    printf("inherited: %d\n", wait_for(pid));
    sigprocmask(SIG_UNBLOCK, &segv, 0);

    static int shared;
    pid = vfork();
    if (pid == 0) {
        shared = 7;
        _exit(2);
    }
    printf("vfork: %d, shared %d\n", wait_for(pid), shared);
    pid = vfork();
    if (pid == 0) {
        execl("/proc/self/exe", "renamed", "vforked", (char *)0);
        _exit(99);
    }
    printf("vfork and exec: %d\n", wait_for(pid));
    pid = vfork();
    if (pid == 0) {
        execl("/nothing", "nothing", (char *)0);
        _exit(errno == ENOENT ? 11 : 12);
    }
    printf("vfork and failed exec: %d\n", wait_for(pid));
    char *spawned[] = {"sh", "-c", "exit 6", 0};
    int e = posix_spawnp(&pid, "sh", 0, 0, spawned, environ);
    printf("spawned: %d %d\n", e, wait_for(pid));
    e = posix_spawnp(&pid, "/nothing", 0, 0, spawned, environ);
    printf("not spawned: %s\n", strerrorname_np(e));
    char *stack = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid = clone(child_main, stack + 65536, SIGCHLD, stack);
    printf("clone with a stack: %d\n", wait_for(pid));
    int pidfd = -1;
    pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0L, &pidfd, 0L, 0L);
    if (pid == 0)
        _exit(33);
    printf("pidfd: %d\n", pidfd >= 0 && fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
    close(pidfd);
    printf("and its child: %d\n", wait_for(pid));

    /* Descriptors: everything may be closed and anything replaced. */
    int low = open("/dev/null", O_RDONLY);
    printf("lowest: %d\n", low);
    int taken = 0;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 3; fd < 1100 && (rlim_t)fd < limit.rlim_cur; fd++)
        taken += dup2(1, fd) != fd;
    printf("not replaced: %d\n", taken);
    if (write(905 < limit.rlim_cur ? 905 : 3, "through any of them\n", 20) != 20)
        return 1;
    for (int fd = 3; fd < 1100; fd++)
        close(fd);
    closefrom(3);
    printf("open after closing: %d\n", open("/dev/null", O_RDONLY));
    closefrom(3);
    for (int fd = 3; fd < 1100; fd++)
        taken += close(fd) == 0;
    printf("closed twice: %d\n", taken);
    struct rlimit few = {8, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    int last = -1;
    for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0;)
        last = fd;
    printf("last of eight: %d %s\n", last, strerrorname_np(errno));
    closefrom(3);
    setrlimit(RLIMIT_NOFILE, &limit);

    fcntl(0, F_SETFD, FD_CLOEXEC);
    fflush(stdout);
    execl("/proc/self/exe", "renamed", "through /proc", "last", (char *)0);
    return 99;
}
