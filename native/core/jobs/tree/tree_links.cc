// The tables of files with several names. See tree_links.h.
#include "jobs/tree/tree_links.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/seams.h"

namespace acall {

namespace {

constexpr uint64_t kFirstCapacity = 64;

uint64_t mixed(uint64_t inode) {
  inode *= 0x9e3779b97f4a7c15ull;
  return inode ^ (inode >> 32);
}

// The place of `inode`, or the free one where it belongs.
uint64_t* place_of(uint64_t* places, uint64_t capacity, uint64_t inode) {
  uint64_t at = mixed(inode) & (capacity - 1);
  while (places[at] != 0 && places[at] != inode) at = (at + 1) & (capacity - 1);
  return &places[at];
}

}  // namespace

LinkSet::Met LinkSet::insert(uint64_t device, uint64_t inode) {
  Hold hold(lock_);
  Table* table = tables_.first();
  while (table != nullptr && table->device != device) table = table->next;
  if (table == nullptr) {
    table = static_cast<Table*>(seams.allocate(sizeof(Table)));
    if (table == nullptr) return Met::kNoMemory;
    *table = {nullptr, device, nullptr, 0, 0, false};
    tables_.push(*table);
  }
  if (inode == 0) return std::exchange(table->has_zero, true) ? Met::kAgain : Met::kFirst;
  if (table->used >= table->capacity / 5 * 4 && !grow(*table)) return Met::kNoMemory;
  uint64_t* place = place_of(table->places, table->capacity, inode);
  if (*place == inode) return Met::kAgain;
  *place = inode;
  ++table->used;
  return Met::kFirst;
}

bool LinkSet::grow(Table& table) {
  uint64_t capacity = table.capacity == 0 ? kFirstCapacity : table.capacity * 2;
  auto* places = static_cast<uint64_t*>(seams.allocate(capacity * sizeof(uint64_t)));
  if (places == nullptr) return false;
  memset(places, 0, capacity * sizeof(uint64_t));
  for (uint64_t i = 0; i < table.capacity; ++i) {
    if (table.places[i] != 0) *place_of(places, capacity, table.places[i]) = table.places[i];
  }
  free(table.places);
  table.places = places;
  table.capacity = capacity;
  return true;
}

void LinkSet::clear() {
  while (Table* table = tables_.pop()) {
    free(table->places);
    free(table);
  }
}

}  // namespace acall
