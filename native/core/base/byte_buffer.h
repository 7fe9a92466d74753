// A byte buffer that grows. It never throws: a growth that fails is the answer of the function that needed it. Used by
// one thread at a time, without a lock.
#ifndef ACALL_CORE_BASE_BYTE_BUFFER_H_
#define ACALL_CORE_BASE_BYTE_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/seams.h"

namespace acall {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;
  ~ByteBuffer() { free(bytes_); }

  // Makes room for `more` bytes behind the end and returns where they begin; nullptr: no memory.
  char* reserve(size_t more) {
    if (more > capacity_ - size_ && !grow(more)) return nullptr;
    return bytes_ + size_;
  }
  void advance(size_t bytes) { size_ += bytes; }
  bool append(const void* bytes, size_t length) {
    char* to = reserve(length);
    if (to == nullptr) return false;
    memcpy(to, bytes, length);
    size_ += length;
    return true;
  }
  void clear() { size_ = 0; }
  char* data() { return bytes_; }
  const char* data() const { return bytes_; }
  size_t size() const { return size_; }

 private:
  bool grow(size_t more) {
    size_t capacity = capacity_ == 0 ? 1024 : capacity_;
    while (capacity - size_ < more) {
      if (capacity > SIZE_MAX / 2) return false;
      capacity *= 2;
    }
    auto* grown = static_cast<char*>(seams.allocate(capacity));
    if (grown == nullptr) return false;
    if (size_ > 0) memcpy(grown, bytes_, size_);
    free(bytes_);
    bytes_ = grown;
    capacity_ = capacity;
    return true;
  }

  char* bytes_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace acall

#endif  // ACALL_CORE_BASE_BYTE_BUFFER_H_
