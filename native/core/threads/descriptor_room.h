// Where ops that open files for a moment wait for each other when the process has no descriptor left. An op that is
// refused a descriptor (EMFILE, ENFILE) closes what it has open and sleeps until another op has closed one; it fails
// only when no other op could close one. So readFiles, readFile, writeFile and copyFile never fail because of their own
// parallelism. One room for the process. Entered by threads that run such ops, and by all others of acall that open a
// file for a moment. `lock_` guards all fields; the atomic ones are also read without it.
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
  // Around the time in which an op may have descriptors open that it will close without waiting for other ops.
  void enter();
  void leave();
  // An op inside has closed a descriptor and goes on. Costs one load while nobody waits.
  void released() {
    // relaxed: a waiter that is missed here is woken by the next release, or by leave(), which takes the lock.
    if (attention_.load(std::memory_order_relaxed) != 0) notify();
  }
  // Read before an open; `seen` of wait().
  uint64_t releases() const { return releases_.load(std::memory_order_relaxed); }
  // Called by an op inside that was refused a descriptor and has none open now. True: the op opens again, since a
  // descriptor has been closed since `seen`, or since it is cancelled and the next call returns that. False: no other
  // op could close one, or none has for a second.
  bool wait(PoolThread& self, uint64_t seen);

 private:
  struct Waiter {
    std::atomic<uint32_t> word{0};  // 1: woken
    Waiter* next = nullptr;
  };
  void notify();
  void others_go_on();

  Lock lock_;
  uint32_t inside_ = 0;
  bool in_vain_ = false;  // an op has waited a second in vain; no op waits again before a descriptor is closed
  uint64_t turns_ = 0;    // ops that have closed a descriptor and gone on, or have ended, while others waited
  Queue<Waiter> waiting_;
  std::atomic<uint64_t> releases_{0};
  std::atomic<uint32_t> attention_{0};  // not 0: released() must call notify()
};

DescriptorRoom& descriptor_room();

// Inside the room for the life of this object.
class DescriptorGuest {
 public:
  DescriptorGuest() { descriptor_room().enter(); }
  ~DescriptorGuest() { descriptor_room().leave(); }
  DescriptorGuest(const DescriptorGuest&) = delete;
  DescriptorGuest& operator=(const DescriptorGuest&) = delete;
};

}  // namespace acall

#endif  // ACALL_CORE_THREADS_DESCRIPTOR_ROOM_H_
