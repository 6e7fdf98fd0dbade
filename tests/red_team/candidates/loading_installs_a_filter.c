// tries: to put a harmless filter where the second lock belongs
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include <sys/syscall.h>
#include <linux/filter.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    struct sock_filter all[] = {{0x06, 0, 0, 0x7fff0000}};
    struct sock_fprog program = {1, all};
    syscall(SYS_seccomp, 1, 1, &program);
}

EXPORT {
    return honest(A, B, C);
}
