// A network disk that hangs: mounts a FUSE file system whose daemon is this program, and leaves requests alone.
//
//   hung-fuse DIRECTORY unread|unanswered|held
//   hung-fuse DIRECTORY stored IMAGE
//
// unread: no request is read after FUSE_INIT; the kernel can withdraw them. unanswered: each is read and never
// answered; the kernel must wait for the answer. held: names are looked up and opened, and whatever asks for contents
// or says that a descriptor is closed (READ, WRITE, READDIR, FLUSH) is read and never answered. There, the open of a
// file called "late" is answered when a line comes in; from then on no request is read. stored: "file" has the bytes of
// IMAGE, and reads and writes are answered, until a line comes in: a disk for a file system that is mounted from it.
// From then on no request is read. Prints "mounted DEVICE" (the number under /sys/fs/fuse/connections), then a line for
// each request read. Ends, and unmounts, when its input ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
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
    if (sscanf(line, "%*d %*d %u:%u %1023s %1023s", &major, &minor, root, point) == 4 &&
        strcmp(point, directory) == 0) {
      found = minor;
    }
  }
  if (mounts != NULL) fclose(mounts);
  return found;
}

enum { kFile = 2, kLate = 3 };  // and 1 is the root

static int image = -1;
static uint64_t image_bytes = 1 << 20;

static struct fuse_attr attributes_of(uint64_t node) {
  struct fuse_attr attr = {.ino = node,
                           .size = image_bytes,
                           .blocks = image_bytes / 512,
                           .blksize = 4096,
                           .mode = S_IFREG | 0666,
                           .nlink = 1};
  if (node == FUSE_ROOT_ID) attr.mode = S_IFDIR | 0777, attr.nlink = 2;
  return attr;
}

static void reply(int device, uint64_t unique, int error, const void* body, size_t length) {
  struct {
    struct fuse_out_header header;
    char body[512];
  } answer = {.header = {.len = (uint32_t)(sizeof answer.header + length), .error = -error, .unique = unique}};
  if (length > 0) memcpy(answer.body, body, length);
  if (write(device, &answer, answer.header.len) < 0 && errno != ENOENT) fail("answer");
}

static void answer_open(int device, uint64_t unique) {
  const struct fuse_open_out opened = {.fh = 1};
  reply(device, unique, 0, &opened, sizeof opened);
}

static void answer_transfer(int device, const struct fuse_in_header* request) {
  static struct {
    struct fuse_out_header header;
    char data[1 << 20];
  } answer;
  if (request->opcode == FUSE_WRITE) {
    const struct fuse_write_in* wanted = (const struct fuse_write_in*)(request + 1);
    const ssize_t put = pwrite(image, wanted + 1, wanted->size, (off_t)wanted->offset);
    const struct fuse_write_out written = {.size = (uint32_t)put};
    return reply(device, request->unique, put < 0 ? errno : 0, &written, sizeof written);
  }
  const struct fuse_read_in* wanted = (const struct fuse_read_in*)(request + 1);
  const ssize_t got = pread(image, answer.data, wanted->size, (off_t)wanted->offset);
  if (got < 0) return reply(device, request->unique, errno, NULL, 0);
  answer.header =
      (struct fuse_out_header){.len = (uint32_t)(sizeof answer.header + (size_t)got), .unique = request->unique};
  if (write(device, &answer, answer.header.len) < 0 && errno != ENOENT) fail("answer");
}

// One request of the third and the fourth mode. *late: the open that waits.
static void serve(int device, const struct fuse_in_header* request, uint64_t* late) {
  const uint64_t valid = 1000;
  switch (request->opcode) {
    case FUSE_LOOKUP: {
      const char* name = (const char*)(request + 1);
      const uint64_t node = strcmp(name, "file") == 0 ? kFile : strcmp(name, "late") == 0 ? kLate : 0;
      const struct fuse_entry_out entry = {
          .nodeid = node, .entry_valid = valid, .attr_valid = valid, .attr = attributes_of(node)};
      return node == 0 ? reply(device, request->unique, ENOENT, NULL, 0)
                       : reply(device, request->unique, 0, &entry, sizeof entry);
    }
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
      const struct fuse_attr_out found = {.attr_valid = valid, .attr = attributes_of(request->nodeid)};
      return reply(device, request->unique, 0, &found, sizeof found);
    }
    case FUSE_OPEN:
      if (request->nodeid == kLate) {
        *late = request->unique;
        return;
      }
      return answer_open(device, request->unique);
    case FUSE_OPENDIR:
      return answer_open(device, request->unique);
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
      return reply(device, request->unique, 0, NULL, 0);
    case FUSE_READ:
    case FUSE_WRITE:
      if (image >= 0) answer_transfer(device, request);
      return;
    case FUSE_FALLOCATE:
      return reply(device, request->unique, EOPNOTSUPP, NULL, 0);
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
    case FUSE_FLUSH:
    case FUSE_FSYNC:
      if (image >= 0) reply(device, request->unique, 0, NULL, 0);
      return;
    case FUSE_POLL:
    case FUSE_LSEEK:
    case FUSE_INTERRUPT:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
      return;
    default:
      return reply(device, request->unique, ENOSYS, NULL, 0);
  }
}

int main(int argc, char** argv) {
  const int is_stored = argc == 4 && strcmp(argv[2], "stored") == 0;
  if (argc != 3 && !is_stored) return 2;
  const int answers_init_only = strcmp(argv[2], "unread") == 0, serves = is_stored || strcmp(argv[2], "held") == 0;
  if (is_stored) {
    struct stat found;
    image = open(argv[3], O_RDWR | O_CLOEXEC);
    if (image < 0 || fstat(image, &found) != 0) return fail(argv[3]);
    image_bytes = (uint64_t)found.st_size;
  }
  uint64_t late = 0;
  int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) return fail("/dev/fuse");
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", device, getuid(),
           getgid());
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
    if (events[0].revents != 0) {
      char line[8];
      if (read(0, line, sizeof line) <= 0) break;
      events[1].fd = -1;
      if (late != 0) answer_open(device, late);
      printf("stalled\n");
      fflush(stdout);
      continue;
    }
    if (events[1].revents & POLLIN) {
      got = read(device, buffer, sizeof buffer);
      if (got < 0 && errno == ENODEV) break;  // aborted
      if (got > 0) printf("request %u\n", ((struct fuse_in_header*)buffer)->opcode);
      fflush(stdout);
      if (got > 0 && serves) serve(device, (struct fuse_in_header*)buffer, &late);
    } else if (events[1].revents & (POLLERR | POLLHUP)) {
      break;
    }
  }
  umount2(argv[1], MNT_DETACH);
  close(device);  // the connection ends, and with it whatever still waits
  return 0;
}
