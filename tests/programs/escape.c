/* Makes a system call past the agent: through an instruction of the agent's own. A forged trace could do so. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long call(unsigned char *syscall_instruction, long number, long a, long b, long c) {
    long result;
    register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;
    __asm__ volatile("call *%1"
                     : "=a"(result)
                     : "r"(syscall_instruction), "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

int main(int count, char **arguments) {
    Elf64_Ehdr *image = (Elf64_Ehdr *)0x600000000000;
    Elf64_Phdr *segment = (Elf64_Phdr *)((char *)image + image->e_phoff);
    while (!(segment->p_type == PT_LOAD && segment->p_flags & PF_X)) segment++;
    unsigned char *at = (unsigned char *)segment->p_vaddr;
    const char *what = count > 1 ? arguments[1] : "";
    char *none[] = {NULL};
    /* syscall; ret */
    while (at[0] != 0x0f || at[1] != 0x05 || at[2] != 0xc3) at++;
    if (!strcmp(what, "open")) call(at, 2, (long)"escaped", 0101, 0600);
    if (!strcmp(what, "socket")) call(at, 41, 2, 1, 0);
    if (!strcmp(what, "kill")) call(at, 62, 0, 0, 0);
    if (!strcmp(what, "ptrace")) call(at, 101, 16, 0, 0);
    if (!strcmp(what, "execve")) call(at, 59, (long)"/bin/true!", (long)none, (long)none);
    puts("tried");
    return 0;
}
