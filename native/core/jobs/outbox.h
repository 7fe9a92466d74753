// What a job has found, in pages until JavaScript fetches them. A page that is being filled is in a helper's hands only
// while the helper cannot block, so that what is found can be fetched although every helper is stuck. How much lies
// unfetched is bounded: the helpers stop, and go on when something has been fetched. A consumer that waits hears of the
// first find at once and then not more often than its own turn costs, or when some pages are full.
//
// A Page has `next` and `weight`, which is 0 as long as nothing is in it; the outbox writes both. The job's lock guards
// the outbox; the functions that say so must be called under it, the others take it.
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
  static constexpr size_t kMaxUnfetched = size_t{16} << 20;

  explicit Outbox(Lock& lock) : lock_(lock) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Any thread, without the lock or under it. Whether helpers are to stop until something has been fetched.
  bool is_full() const { return unfetched() >= kMaxUnfetched; }
  // Whether so much more may come: also what is larger than the bound, once nothing else lies here.
  bool has_room_for(size_t weight) const { return has_room(unfetched(), weight); }
  // What is promised counts as if it were here already; it is withdrawn when it comes, or when it does not. False:
  // there was no room for it.
  bool promise(size_t weight) { return has_room(unfetched_.fetch_add(weight, std::memory_order_relaxed), weight); }
  void withdraw(size_t weight) { unfetched_.fetch_sub(weight, std::memory_order_relaxed); }

  // A page with room, or what make() makes; nullptr: make() has no memory.
  template <typename Make>
  Page* borrow(Make make) {
    {
      Hold hold(lock_);
      if (Page* page = open_.pop()) return page;
    }
    return make();
  }
  // Something has come into a page in hand.
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
  // The oldest full page, else one that is not full; nullptr: there is none. It is the caller's.
  Page* take() {
    Page* page = full_.pop();
    if (page == nullptr) page = open_.pop();
    if (page != nullptr) withdraw(page->weight);
    return page;
  }
  void drop() {
    while (Page* page = take()) kFree(page);
  }
  // Whether a consumer that waits is to be told now; the caller then tells it. `at_once`: nobody may come by here again
  // for a long time.
  bool is_due(bool at_once, uint64_t now_ns) {
    if (!at_once && full_.length() < kNotifyPages && now_ns - notified_ns_ < kNotifyNs) return false;
    notified_ns_ = now_ns;
    return true;
  }

 private:
  // The row read-files: with one page instead of four it takes half as many turns of JavaScript more.
  static constexpr uint64_t kNotifyNs = 500'000;
  static constexpr uint32_t kNotifyPages = 4;
  static bool has_room(size_t here, size_t weight) { return here == 0 || here + weight <= kMaxUnfetched; }
  size_t unfetched() const { return unfetched_.load(std::memory_order_relaxed); }

  Lock& lock_;
  std::atomic<size_t> unfetched_{0};  // the weight of all pages, those in hand included, and what is promised
  Queue<Page> full_;                  // in the order in which they were filled
  Stack<Page> open_;                  // each with something in it, and room for more
  uint64_t notified_ns_ = 0;
};

}  // namespace acall

#endif  // ACALL_CORE_JOBS_OUTBOX_H_
