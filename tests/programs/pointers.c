/* Calls that a recorder may answer itself, given pointers that lead nowhere: EFAULT and friends, as from the kernel. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char *hole; /* unmapped */
static char *wall; /* the last bytes before something unreadable */
static char *stone; /* readable, not writable */

#define TRY(call)                                                                  \
    do {                                                                           \
        errno = 0;                                                                 \
        long r = (call);                                                           \
        printf("%s = %ld %s\n", #call, r < 0 ? -1 : r, errno ? strerrorname_np(errno) : ""); \
    } while (0)

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    char *page = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page + 4096, 4096, PROT_NONE);
    mprotect(page + 8192, 4096, PROT_READ);
    wall = page + 4096 - 4;
    hole = page + 4096;
    stone = page + 8192;
    long wild[] = {-1, 1, (long)hole, (long)wall, 0x7ffffffff000, (long)0x8000000000000000};
    int pipes[2], sockets[2];
    if (pipe(pipes) || socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets))
        return 1;
    for (unsigned i = 0; i < sizeof wild / sizeof *wild; i++) {
        void *bad = (void *)wild[i];
        long *none = 0;
        printf("-- %u\n", i);
        TRY(syscall(SYS_rt_sigaction, SIGUSR1, bad, 0, 8));
        TRY(syscall(SYS_rt_sigaction, SIGUSR1, 0, bad, 8));
        TRY(syscall(SYS_rt_sigaction, 99, bad, 0, 8));
        TRY(syscall(SYS_rt_sigaction, SIGKILL, bad, 0, 8));
        TRY(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, 0, 8));
        TRY(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, bad, 8));
        TRY(syscall(SYS_rt_sigprocmask, 7, bad, 0, 8));
        TRY(syscall(SYS_sigaltstack, bad, 0));
        TRY(syscall(SYS_sigaltstack, 0, bad));
        TRY(syscall(SYS_arch_prctl, 0x1003, bad));
        TRY(syscall(SYS_execve, bad, none, none));
        TRY(syscall(SYS_execve, "/bin/true", bad, none));
        TRY(syscall(SYS_execve, "/bin/true", none, bad));
        TRY(syscall(SYS_open, bad, O_RDONLY));
        TRY(syscall(SYS_openat, AT_FDCWD, bad, O_RDONLY));
        TRY(syscall(SYS_readlink, bad, none, 10L));
        TRY(syscall(SYS_readlink, "/proc/self/exe", bad, 10L));
        TRY(syscall(SYS_stat, bad, bad));
        TRY(syscall(SYS_stat, "/", bad));
        TRY(syscall(SYS_access, bad, 0));
        TRY(syscall(SYS_pipe2, bad, 0));
        TRY(syscall(SYS_poll, bad, 1L, 0));
        TRY(syscall(SYS_ppoll, 0, 0L, bad, 0, 8));
        TRY(syscall(SYS_ppoll, 0, 0L, &(struct timespec){0, 1}, bad, 8));
        TRY(syscall(SYS_select, 8L, bad, 0, 0, 0));
        TRY(syscall(SYS_select, 0L, 0, 0, 0, bad));
        TRY(syscall(SYS_pselect6, 0L, 0, 0, 0, &(struct timespec){0, 1}, bad));
        TRY(syscall(SYS_rt_sigsuspend, bad, 8));
        TRY(syscall(SYS_rt_sigtimedwait, bad, 0, 0, 8));
        TRY(syscall(SYS_nanosleep, bad, 0));
        TRY(syscall(SYS_nanosleep, &(struct timespec){0, 1}, bad));
        TRY(syscall(SYS_clock_gettime, 0, bad));
        TRY(syscall(SYS_futex, bad, 0, 0, 0));
        TRY(syscall(SYS_writev, pipes[1], bad, 1L));
        TRY(syscall(SYS_recvmsg, sockets[0], bad, MSG_DONTWAIT));
        TRY(syscall(SYS_recvmmsg, sockets[0], bad, 2L, MSG_DONTWAIT, 0));
        TRY(syscall(SYS_sendmsg, sockets[1], bad, MSG_DONTWAIT));
        TRY(syscall(SYS_getsockname, sockets[0], bad, bad));
        TRY(syscall(SYS_getsockopt, sockets[0], SOL_SOCKET, SO_TYPE, bad, bad));
        TRY(syscall(SYS_getcwd, bad, 100L));
        TRY(syscall(SYS_uname, bad));
        TRY(syscall(SYS_wait4, -1, bad, WNOHANG, 0) < 0 && errno == ECHILD ? 77 : -1);
        TRY(syscall(SYS_set_robust_list, bad, 3L));
    }
    TRY(syscall(SYS_rt_sigaction, SIGUSR1, 0, stone, 8));
    TRY(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, stone, 8));
    TRY(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 4));
    TRY(syscall(SYS_sigaltstack, 0, stone));
    TRY(write(pipes[1], "abc", 3));
    TRY(read(pipes[0], stone, 3));
    TRY(syscall(SYS_execve, "/proc", 0, 0));
    TRY(syscall(SYS_execve, "", 0, 0));
    TRY(syscall(SYS_execve, "/nothing/here", 0, 0));
    stack_t odd = {.ss_sp = page, .ss_size = 100, .ss_flags = 0};
    TRY(sigaltstack(&odd, 0));
    odd.ss_flags = 77;
    TRY(sigaltstack(&odd, 0));
    odd = (stack_t){.ss_sp = page, .ss_size = 4096};
    TRY(sigaltstack(&odd, 0));
    stack_t now;
    TRY(sigaltstack(0, &now));
    printf("%d %d %zu\n", now.ss_sp == page, now.ss_flags, now.ss_size);
    return 0;
}
