// Runs a command under a seccomp filter, as containers and sandboxes do.
//
//   seccomp-run ERRNO NUMBER[,NUMBER...] COMMAND [ARGUMENT...]
//
// The system calls with these numbers fail with this error number; all others pass.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { kMaxCalls = 200 };

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const unsigned error = (unsigned)atoi(argv[1]);
  struct sock_filter code[2 * kMaxCalls + 2];
  unsigned short length = 0;
  code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (char* number = strtok(argv[2], ","); number != NULL && length < 2 * kMaxCalls; number = strtok(NULL, ",")) {
    code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)atoi(number), 0, 1);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA));
  }
  code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const struct sock_fprog program = {.len = length, .filter = code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    fprintf(stderr, "seccomp-run: %s\n", strerror(errno));
    return 125;
  }
  execvp(argv[3], argv + 3);
  fprintf(stderr, "seccomp-run: %s: %s\n", argv[3], strerror(errno));
  return 127;
}
