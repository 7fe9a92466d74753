// What ops that open files for a moment do when the process has no descriptor left: they wait for each other. An op
// that is refused one (EMFILE, ENFILE) closes what it holds and sleeps until another has let one go; it fails only when
// no other is there that could. So the parallelism of readFiles, readFile, writeFile and copyFile never fails by
// itself. One room for the process, entered by the threads that run such ops; `lock_` guards all but `attention_`.
#ifndef ACALL_CORE_THREADS_DESCRIPTOR_ROOM_H_
#define ACALL_CORE_THREADS_DESCRIPTOR_ROOM_H_

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "base/intrusive_list.h"
#include "base/sync.h"

namespace acall {

struct PoolThread;

inline bool is_out_of_descriptors(int64_t error) { return error == -EMFILE || error == -ENFILE; }

class DescriptorRoom {
 public:
  // Around the time in which an op may hold descriptors that it will close without waiting for anybody.
  void enter();
  void leave();
  // By one that goes on: it has closed a descriptor. Costs a load while nobody waits.
  void released() {
    // relaxed: who is missed here is woken by the next release, or by leave(), which takes the lock.
    if (attention_.load(std::memory_order_relaxed) != 0) notify();
  }
  // Before an attempt to open: what wait() wants to know.
  uint64_t releases() const { return releases_.load(std::memory_order_relaxed); }
  // By one that has entered, was refused a descriptor and holds none now. True: try again, since some have been let go
  // since `seen`, or the op is cancelled and the next call says so. False: nobody else could let one go, or nobody has
  // for a second.
  bool wait(PoolThread& self, uint64_t seen);

 private:
  struct Waiter {
    std::atomic<uint32_t> word{0};  // 1: woken
    Waiter* next = nullptr;
  };
  void notify();
  void wake_one();

  Lock lock_;
  uint32_t inside_ = 0;
  bool in_vain_ = false;  // one has waited a second for nothing; nobody waits again before something is let go
  Queue<Waiter> waiting_;
  std::atomic<uint64_t> releases_{0};   // changed under the lock
  std::atomic<uint32_t> attention_{0};  // non-zero: releases are to be told. Changed under the lock
};

DescriptorRoom& descriptor_room();

// An op inside the room.
class DescriptorGuest {
 public:
  DescriptorGuest() { descriptor_room().enter(); }
  ~DescriptorGuest() { descriptor_room().leave(); }
  DescriptorGuest(const DescriptorGuest&) = delete;
  DescriptorGuest& operator=(const DescriptorGuest&) = delete;
};

}  // namespace acall

#endif  // ACALL_CORE_THREADS_DESCRIPTOR_ROOM_H_
