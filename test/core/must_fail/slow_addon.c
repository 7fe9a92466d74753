// An addon that blocks the event loop by the fault that ACALL_MUST_FAIL names, which the watchdog must report:
//   call  from now on the next getppid of this thread sleeps for a second
//   loop  this thread is in state D for some seconds, as if a disk did not answer
// It is compiled without Node's headers; both names are those that Node looks up.
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int32_t node_api_module_get_api_version_v1(void);
int32_t node_api_module_get_api_version_v1(void) { return 8; }

static void sleep_for(int signal) {
  const struct timespec second = {1, 0};
  (void)signal;
  nanosleep(&second, NULL);
}

static void let_getppid_sleep(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof code / sizeof *code, code};
  signal(SIGSYS, sleep_for);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// The parent of a vfork waits for its child in state D.
static void wait_in_state_d(void) {
  if (vfork() != 0) return;
  const struct timespec seconds = {6, 0};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  nanosleep(&seconds, NULL);
  _exit(0);
}

void* napi_register_module_v1(void* env, void* exports);
void* napi_register_module_v1(void* env, void* exports) {
  const struct rlimit none = {0, 0};
  const char* fault = getenv("ACALL_MUST_FAIL");
  (void)env;
  setrlimit(RLIMIT_CORE, &none);
  if (fault != NULL && strcmp(fault, "call") == 0) let_getppid_sleep();
  if (fault != NULL && strcmp(fault, "loop") == 0) wait_in_state_d();
  return exports;
}
