// The results of a job, in pages until JavaScript fetches them. A job thread borrows a page only while it cannot block,
// so that results can be fetched although every job thread is blocked. The weight of unfetched results is bounded: job
// threads stop at the bound and go on when pages have been fetched. A waiting consumer is notified of the first result
// without delay, and of later ones after kNotifyNs.
//
// A Page has `next` and `weight`, which is 0 while the page is empty; the outbox writes both. Entered by job threads
// and by the environment's thread. The job's lock guards the outbox; the functions from is_empty() on must be called
// under it, the others take it where they need it.
#ifndef ACALL_CORE_JOBS_OUTBOX_H_
#define ACALL_CORE_JOBS_OUTBOX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/intrusive_list.h"
#include "base/sync.h"

namespace acall {

template <typename Page, void (*kFree)(Page*)>
class Outbox {
 public:
  static constexpr size_t kMaxUnfetched = size_t{16} << 20;  // a limit of memory

  explicit Outbox(Lock& lock) : lock_(lock) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // The next four functions are called by any thread, without the lock or under it.
  // Whether job threads must stop until pages have been fetched.
  bool is_full() const { return unfetched() >= kMaxUnfetched; }
  // Whether a result of that weight may come. One that is larger than the bound may come when nothing else is here.
  bool has_room_for(size_t weight) const { return has_room(unfetched(), weight); }
  // Counts a result that is still to come, until withdraw(). False: there was no room for it.
  bool promise(size_t weight) { return has_room(unfetched_.fetch_add(weight, std::memory_order_relaxed), weight); }
  void withdraw(size_t weight) { unfetched_.fetch_sub(weight, std::memory_order_relaxed); }

  // Returns a page with room, or the page that make() makes; nullptr: no memory.
  template <typename Make>
  Page* borrow(Make make) {
    {
      Hold hold(lock_);
      if (Page* page = open_.pop()) return page;
    }
    return make();
  }
  // Counts a result that was put into a borrowed page.
  void note(Page& page, size_t weight) {
    page.weight += weight;
    promise(weight);
  }
  void give_back(Page* page, bool page_is_full) {
    if (page->weight == 0) return kFree(page);
    Hold hold(lock_);
    if (page_is_full) {
      full_.push_back(*page);
    } else {
      open_.push(*page);
    }
  }

  // Under the lock from here on.
  bool is_empty() const { return full_.is_empty() && open_.is_empty(); }
  // Returns the oldest full page, else one that is not full; nullptr: there is none. The page belongs to the caller.
  Page* take() {
    Page* page = full_.pop();
    if (page == nullptr) page = open_.pop();
    if (page != nullptr) withdraw(page->weight);
    return page;
  }
  void drop() {
    while (Page* page = take()) kFree(page);
  }
  // Whether a waiting consumer must be notified now, which the caller then does. `at_once`: the next call may come only
  // after a long time.
  bool is_due(bool at_once, uint64_t now_ns) {
    if (!at_once && now_ns - notified_ns_ < kNotifyNs) return false;
    notified_ns_ = now_ns;
    return true;
  }

 private:
  static constexpr uint64_t kNotifyNs = 500'000;  // row read-files: a third slower when each result notifies
  static bool has_room(size_t here, size_t weight) { return here == 0 || here + weight <= kMaxUnfetched; }
  size_t unfetched() const { return unfetched_.load(std::memory_order_relaxed); }

  Lock& lock_;
  std::atomic<size_t> unfetched_{0};  // the weight of all pages, borrowed ones included, and of promised results
  Queue<Page> full_;                  // in the order in which they were filled
  Stack<Page> open_;                  // pages that are not empty and have room
  uint64_t notified_ns_ = 0;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_OUTBOX_H_
