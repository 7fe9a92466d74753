// Pages of paths, and how they are claimed. See path_feed.h.
#include "jobs/path_feed.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/seams.h"
#include "wire.h"

namespace acall {

int PathFeed::add(Page& page) {
  if (page.left > most_ - added_) return -EINVAL;
  if (is_closed_) return -ECANCELED;
  added_ += page.left;
  is_closed_ = added_ == most_;
  pages_.push_back(page);
  return 0;
}

PathFeed::Claim PathFeed::claim(uint32_t most) {
  Page* page = pages_.first();
  if (page == nullptr) return {};
  Claim claim{page->at, std::min(most, page->left), claimed_, page->paths};
  claimed_ += claim.count;
  page->left -= claim.count;
  if (page->left == 0) {
    claim.spent = pages_.pop();  // the page's reference of the block goes to the claim
    return claim;
  }
  block_reference(*page->paths);
  for (uint32_t i = 0; i < claim.count; ++i) page->at = next_path(page->at);
  return claim;
}

void PathFeed::release(const Claim& claim) {
  block_release(claim.paths);
  free(claim.spent);
}

void PathFeed::drop_unclaimed() {
  while (Page* page = pages_.pop()) {
    block_release(page->paths);
    free(page);
  }
}

int PathJob::add(Block* paths, uint32_t count) {
  auto* page = static_cast<PathFeed::Page*>(seams.allocate(sizeof(PathFeed::Page)));
  if (page == nullptr || count == 0) {
    free(page);
    block_release(paths);
    return count == 0 ? 0 : -EAGAIN;
  }
  *page = {nullptr, paths, reinterpret_cast<const char*>(paths->data()), count};
  bool wanted = false;
  int error;
  {
    Hold hold(lock);
    error = ended() ? -ECANCELED : feed.add(*page);
    if (error == 0) wanted = want_thread();
  }
  if (error != 0) {
    free(page);
    block_release(paths);
  }
  if (wanted) submit_thread();
  return error;
}

int PathJob::add_joined(Block* paths, size_t length, uint32_t count) {
  uint32_t found = 0;  // of the NULs, the one that ends the text included
  const unsigned char* end = paths->data() + length + 1;
  for (const unsigned char* at = paths->data(); at < end; ++found) {
    at = static_cast<const unsigned char*>(memchr(at, 0, static_cast<size_t>(end - at))) + 1;
  }
  if (found == count) return add(paths, count);
  block_release(paths);
  return kHasNul;
}

}  // namespace acall
