// A network disk that hangs: mounts a FUSE file system whose daemon is this program, and leaves requests alone.
//
//   hung-fuse DIRECTORY unread|unanswered
//
// unread: no request is read after FUSE_INIT; the kernel can withdraw them. unanswered: each is read and never answered; the
// kernel must wait for the answer. Prints "mounted DEVICE" (the number under /sys/fs/fuse/connections), in the second mode
// then a line for each request read. Ends, and unmounts, when its input ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static char buffer[1 << 20];

static int fail(const char* what) {
  fprintf(stderr, "hung-fuse: %s: %s\n", what, strerror(errno));
  return 1;
}

// The minor number of the mount's device, from mountinfo: a stat() of it would hang.
static unsigned device_of(const char* directory) {
  char line[4096], root[1024], point[1024];
  unsigned major, minor, found = 0;
  FILE* mounts = fopen("/proc/self/mountinfo", "re");
  while (mounts != NULL && fgets(line, sizeof line, mounts) != NULL) {
    if (sscanf(line, "%*d %*d %u:%u %1023s %1023s", &major, &minor, root, point) == 4 && strcmp(point, directory) == 0) {
      found = minor;
    }
  }
  if (mounts != NULL) fclose(mounts);
  return found;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int answers_init_only = strcmp(argv[2], "unread") == 0;
  int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) return fail("/dev/fuse");
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", device, getuid(), getgid());
  if (mount("acall-hung", argv[1], "fuse.acall-hung", MS_NOSUID | MS_NODEV, options) != 0) return fail("mount");

  ssize_t got = read(device, buffer, sizeof buffer);
  if (got < (ssize_t)sizeof(struct fuse_in_header)) return fail("read of FUSE_INIT");
  const struct fuse_in_header* request = (struct fuse_in_header*)buffer;
  const struct fuse_init_in* wanted = (struct fuse_init_in*)(request + 1);
  struct {
    struct fuse_out_header header;
    struct fuse_init_out init;
  } answer = {.header = {.len = sizeof answer, .unique = request->unique},
              .init = {.major = FUSE_KERNEL_VERSION, .minor = wanted->minor, .max_write = 4096, .max_background = 64}};
  if (write(device, &answer, sizeof answer) != (ssize_t)sizeof answer) return fail("answer to FUSE_INIT");
  printf("mounted %u\n", device_of(argv[1]));
  fflush(stdout);

  struct pollfd events[2] = {{.fd = 0, .events = POLLIN}, {.fd = answers_init_only ? -1 : device, .events = POLLIN}};
  for (;;) {
    if (poll(events, 2, -1) < 0) continue;
    if (events[0].revents != 0) break;
    if (events[1].revents & POLLIN) {
      got = read(device, buffer, sizeof buffer);
      if (got < 0 && errno == ENODEV) break;  // aborted
      if (got > 0) printf("request %u\n", ((struct fuse_in_header*)buffer)->opcode);
      fflush(stdout);
    } else if (events[1].revents & (POLLERR | POLLHUP)) {
      break;
    }
  }
  umount2(argv[1], MNT_DETACH);
  close(device);  // the connection ends, and with it whatever still waits
  return 0;
}
