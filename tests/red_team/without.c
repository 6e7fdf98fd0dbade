// Runs a program on a system that lacks one system call: without NUMBER PROGRAM ARGUMENT..
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **arguments) {
    struct sock_filter steps[] = {
        {0x20, 0, 0, 0},
        {0x15, 0, 1, (unsigned)atoi(arguments[1])},
        {0x06, 0, 0, 0x00050000 | 38},
        {0x06, 0, 0, 0x7fff0000},
    };
    struct sock_fprog program = {4, steps};
    if (count < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, 1, 0, &program))
        return 100;
    execv(arguments[2], arguments + 2);
    return 101;
}
