// The time-stamp counter read in every way: by instructions that are found, by bytes that may be data, by code made at run time. What was
// read is in the arguments of calls, which replay compares.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef unsigned (*reader)(void);

// Behind bytes that are no instruction no decoder arrives at hidden(); in_text is data; junk() jumps into what looks like another
// instruction.
unsigned hidden(void), junk(void);
extern const unsigned char in_text[], moved[];
__asm__(".text\n"
        ".balign 4096\n"
        "in_text: .byte 6, 6, 6, 0x0f, 0x31, 0x0f, 0x01, 0xf9, 6, 6\n"
        ".balign 4096\n"
        "hidden: rdtsc\n ret\n"
        ".byte 6, 6, 6, 6\n"
        ".balign 4096\n"
        "moved: rdtsc\n ret\n"
        ".balign 4096\n"
        ".cfi_startproc\n"
        "junk: jmp 1f\n .byte 0xb8\n 1: rdtsc\n ret\n nop\n"
        ".cfi_endproc\n"
        ".balign 4096\n");

static unsigned plain(void) { return (unsigned)__builtin_ia32_rdtsc(); }
static unsigned with_processor(void) {
    unsigned processor;
    return (unsigned)__builtin_ia32_rdtscp(&processor);
}
static const unsigned char code[] = {0x0f, 0x31, 0xc3};
static unsigned anonymous(void) {
    unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, code, sizeof code);
    return ((reader)p)();
}
static unsigned made_executable(void) {
    unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, code, sizeof code);
    mprotect(p, 4096, PROT_READ | PROT_EXEC);
    return ((reader)p)();
}
static unsigned of_a_file(void) {
    int fd = open("code", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (write(fd, code, sizeof code) != sizeof code)
        abort();
    unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    close(fd);
    unlink("code");
    return ((reader)p)();
}
static unsigned elsewhere(void) {
    void *to = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *p = mremap((void *)moved, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    return ((reader)p)();
}
static unsigned data(void) {
    unsigned sum = 0;
    for (int i = 0; i < 10; i++)
        sum = sum * 31 + in_text[i];
    return sum;
}

static atomic_int started, found;
// In another thread, which was running before the code was there.
static reader late;
static void *reads_late(void *none) {
    (void)none;
    atomic_store(&started, 1);
    while (!atomic_load(&found))
        getppid();
    for (int i = 0; i < 5; i++)
        fcntl(late() & 0x3ff, F_GETFD);
    return NULL;
}
static unsigned in_both_threads(void) {
    pthread_t thread;
    late = anonymous;
    started = found = 0;
    pthread_create(&thread, NULL, reads_late, NULL);
    while (!atomic_load(&started))
        sched_yield();
    unsigned first = anonymous();
    atomic_store(&found, 1);
    pthread_join(thread, NULL);
    return first;
}

// Once more in the program that takes this one's place, whose threads are new.
static unsigned replaced(void) {
    in_both_threads();
    execl("/proc/self/exe", "counter", "again", NULL);
    return 0;
}

int main(int count, char **words) {
    (void)words;
    if (count > 1) {
        fcntl(in_both_threads() & 0x3ff, F_GETFD);
        return 0;
    }
    static const struct { const char *name; reader read; } all[] = {
        {"plain", plain}, {"with_processor", with_processor}, {"data", data}, {"hidden", hidden}, {"junk", junk}, {"anonymous", anonymous},
        {"made_executable", made_executable}, {"of_a_file", of_a_file}, {"elsewhere", elsewhere}, {"in_both_threads", in_both_threads},
        {"replaced", replaced},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        fflush(stdout);
        if (fork() == 0) {
            for (int times = 0; times < 20; times++) {
                struct timespec now;
                clock_gettime(CLOCK_MONOTONIC, &now);
                fcntl((unsigned)now.tv_nsec & 0x3ff, F_GETFD);
                if (all[i].read == elsewhere && times > 0)
                    break;
                unsigned value = all[i].read();
                fcntl(value & 0x3ff, F_GETFD);
                if (all[i].read == data && times == 0)
                    printf("%x\n", value);
            }
            printf("%s\n", all[i].name);
            exit(0);
        }
        int status;
        wait(&status);
        if (status)
            printf("%s: status %x\n", all[i].name, (unsigned)status);
    }
    return 0;
}
