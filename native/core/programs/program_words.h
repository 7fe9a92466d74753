// Reads and writes words of 8 bytes in a program's memory, which JavaScript or another program may use at the same
// time. Any thread, no lock.
#ifndef ACALL_CORE_PROGRAMS_PROGRAM_WORDS_H_
#define ACALL_CORE_PROGRAMS_PROGRAM_WORDS_H_

#include <atomic>
#include <cstdint>
#include <cstring>

namespace acall {

// A word may be misaligned: the second int of a pipe is read as one.
inline uint64_t load_word(uint64_t address) {
  if ((address & 7) == 0)
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(address)).load(std::memory_order_acquire);
  uint64_t value;
  memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
  return value;
}

inline void store_word(uint64_t address, uint64_t value) {
  if ((address & 7) != 0) {
    memcpy(reinterpret_cast<void*>(address), &value, sizeof value);
    return;
  }
  // release: a reader that sees the word (acquire) also sees what the call has written.
  std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(address)).store(value, std::memory_order_release);
}

// Returns the new value. Atomic when the word is aligned, since programs on several threads may share a counter.
inline uint64_t add_to_word(uint64_t address, uint64_t value) {
  if ((address & 7) == 0)
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(address)).fetch_add(value) + value;
  const uint64_t sum = load_word(address) + value;
  store_word(address, sum);
  return sum;
}

}  // namespace acall

#endif  // ACALL_CORE_PROGRAMS_PROGRAM_WORDS_H_
