// What one helper of readFiles reads into. Shared by read_files.cc and read_files_packs.cc only.
#ifndef ACALL_CORE_READ_FILES_SCRATCH_H_
#define ACALL_CORE_READ_FILES_SCRATCH_H_

#include <atomic>
#include <cstdint>

#include "read_files.h"
#include "sync.h"

namespace acall {

inline constexpr uint32_t kMaxChunk = 16;          // one trip to the lock for 20 microseconds of cached files
inline constexpr uint32_t kFirstRead = 64 * 1024;  // what is read at once, before anybody asks how long the file is

// A helper's memory while it reads one claim. Its own as long as it works; another may bring its records to packs.
struct ReadFiles::Scratch {
  static constexpr uint32_t kBytes = 2 * kFirstRead;
  Scratch* next = nullptr;
  uint32_t used = 0;  // the owner's alone
  Lock lock;          // guards changes of the next three; taken before that of the job
  std::atomic<uint32_t> count{0};
  std::atomic<uint32_t> flushed{0};  // so many of them are in packs
  ReadRecord records[kMaxChunk];
  alignas(8) unsigned char bytes[kBytes];

  bool has_records() const { return flushed.load(std::memory_order_relaxed) < count.load(std::memory_order_relaxed); }
};

}  // namespace acall

#endif  // ACALL_CORE_READ_FILES_SCRATCH_H_
