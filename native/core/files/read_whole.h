// Reads one open file to its end, as node:fs does: the first bytes into memory of the caller, the rest of a large file
// into a block of its own. Used by the job threads of readFiles and by readFile, on the thread that runs the op; no
// lock. `Enter` enters the kernel: it takes a syscall's number and arguments and returns its result or -errno.
#ifndef ACALL_CORE_FILES_READ_WHOLE_H_
#define ACALL_CORE_FILES_READ_WHOLE_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/block.h"
#include "wire.h"

namespace acall {

// The longest file that node:fs reads: 2^31 - 1 bytes.
inline constexpr uint64_t kMaxFileBytes = 0x7fffffff;

struct WholeFile {
  int64_t status = 0;  // bytes, or -errno
  FileCall call = FileCall::kRead;
  uint64_t size = 0;  // of a regular file, by its stat; 0: unknown
  Block* block = nullptr;
};

// Reads until `room` bytes are there or the file ends. Returns how many bytes there are; fewer than `room`: the file
// has ended; or -errno. A short read is not the end, since pipes, ttys and /proc return what they have. Only a read of
// 0 bytes is, and it costs no more than an fstat.
template <typename Enter>
int64_t read_first(Enter enter, int fd, unsigned char* into, uint32_t room) {
  uint32_t total = 0;
  while (total < room) {
    int64_t got = enter(SYS_read, fd, into + total, room - total);
    if (got < 0) return got;
    if (got == 0) break;
    total += static_cast<uint32_t>(got);
  }
  return total;
}

// The size of a file that has at least `have` bytes, by its stat; kTooLarge: too large for a Buffer.
template <typename Enter>
WholeFile size_of_large(Enter enter, int fd, uint64_t have) {
  WholeFile file;
  struct statx info;
  file.status = enter(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &info);
  if (file.status < 0) {
    file.call = FileCall::kStat;
    return file;
  }
  if (S_ISREG(info.stx_mode) && info.stx_size >= have) file.size = info.stx_size;
  if (file.size > kMaxFileBytes) {
    file.call = FileCall::kTooLarge;
    file.status = -EFBIG;
  }
  return file;
}

// Reads the rest behind the `have` bytes at `first`. When the size is known, it reads no more, also if the file has
// grown. `enough()`: nobody wants the file any more.
template <typename Enter, typename Enough>
void read_rest(Enter enter, Enough enough, int fd, const unsigned char* first, uint64_t have, WholeFile& file) {
  constexpr uint64_t kGrowBytes = uint64_t{256} * 1024;  // first block of a file of unknown size
  constexpr uint64_t kPieceBytes = 4 << 20;              // of one read: a cancel has effect within a millisecond
  uint64_t capacity = file.size > 0 ? file.size : kGrowBytes;
  Block* block = block_make(capacity);
  file.status = -ENOMEM;
  if (block == nullptr) return;
  memcpy(block->data(), first, have);
  uint64_t total = have;
  for (;;) {
    if (total == capacity) {
      if (file.size > 0) break;
      Block* grown = block_make(capacity * 2);
      if (grown == nullptr) return block_release(block);
      memcpy(grown->data(), block->data(), total);
      block_release(std::exchange(block, grown));
      capacity *= 2;
    }
    uint64_t wanted = capacity - total < kPieceBytes ? capacity - total : kPieceBytes;
    int64_t got = enough() ? -ECANCELED : enter(SYS_read, fd, block->data() + total, wanted);
    if (got == 0) break;
    if (got > 0) total += static_cast<uint64_t>(got);
    if (got < 0 || total > kMaxFileBytes) {
      file.status = got < 0 ? got : -EFBIG;
      if (got > 0) file.call = FileCall::kTooLarge;
      file.size = got > 0 ? total : file.size;
      return block_release(block);
    }
  }
  file.status = static_cast<int64_t>(total);
  file.block = block;
}

}  // namespace acall

#endif  // ACALL_CORE_FILES_READ_WHOLE_H_
