// The table of ops. See operation.h.
#include "op/operation.h"

#include <sys/random.h>

#include <new>

#include "base/seams.h"

namespace acall {

namespace {

constinit OperationTable table;

uint64_t mix(uint64_t value) {  // the finaliser of splitmix64
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

}  // namespace

OperationTable& operation_table() { return table; }

bool OperationTable::grow() {
  uint32_t count = chunk_count_.load(std::memory_order_relaxed);
  if (count == kMaxChunks) return false;
  if (count == 0) {
    uint64_t key = 0;
    if (getrandom(&key, sizeof key, GRND_NONBLOCK) != sizeof key)
      key = seams.now_ns() ^ reinterpret_cast<uintptr_t>(this);
    key_.store(key, std::memory_order_relaxed);
  }
  void* memory = seams.allocate(sizeof(Operation) * kChunk + alignof(Operation));
  if (memory == nullptr) return false;
  uintptr_t start = (reinterpret_cast<uintptr_t>(memory) + alignof(Operation) - 1) & ~(alignof(Operation) - 1);
  Operation* chunk = reinterpret_cast<Operation*>(start);
  for (uint32_t i = kChunk; i-- > 0;) {
    Operation* op = new (&chunk[i]) Operation();
    op->index = count * kChunk + i;
    op->next = free_;
    free_ = op;
  }
  // release pairs with the acquire in find() and each_live(): a chunk is whole before it can be seen.
  chunks_[count].store(chunk, std::memory_order_release);
  chunk_count_.store(count + 1, std::memory_order_release);
  return true;
}

uint32_t OperationTable::allocate(uint32_t wanted, Operation** first) {
  Hold hold(lock_);
  Operation* list = nullptr;
  Operation** tail = &list;
  uint32_t got = 0;
  // relaxed: changed under the lock only.
  uint64_t sequence = next_sequence_.load(std::memory_order_relaxed);
  while (got < wanted) {
    if (free_ == nullptr) {
      // acquire pairs with the release in release(): the last user of the record has done with it.
      free_ = returned_.exchange(nullptr, std::memory_order_acquire);
      if (free_ == nullptr && !grow()) break;
    }
    Operation* op = free_;
    free_ = op->next;
    op->state.store((sequence++ << kStateBits) | kDone, std::memory_order_relaxed);
    op->releases.store(0, std::memory_order_relaxed);
    op->keeps_alive.store(0, std::memory_order_relaxed);
    op->facts.store(0, std::memory_order_relaxed);
    op->thread.store(nullptr, std::memory_order_relaxed);
    op->call.flags = 0;
    op->call.pin_count = 0;
    op->call.more_pin_count = 0;
    op->call.more_pins = nullptr;
    op->call.block = nullptr;
    op->call.copies = nullptr;
    op->call.transferred = 0;
    op->extra = nullptr;
    op->handle = nullptr;
    op->ring.store(nullptr, std::memory_order_relaxed);
    op->slot = nullptr;
    *tail = op;
    tail = &op->next;
    ++got;
  }
  *tail = nullptr;
  next_sequence_.store(sequence, std::memory_order_release);
  *first = list;
  return got;
}

void OperationTable::release(Operation* op) {
  Operation* head = returned_.load(std::memory_order_relaxed);
  do {
    op->next = head;
  } while (!returned_.compare_exchange_weak(head, op, std::memory_order_release, std::memory_order_relaxed));
}

uint32_t OperationTable::check_of(uint64_t sequence, uint32_t index) const {
  return static_cast<uint32_t>(mix(mix(sequence ^ key_.load(std::memory_order_relaxed)) + index) >> 32);
}

acall_id OperationTable::id_of(const Operation& op) const {
  uint64_t sequence = op.sequence();
  return {{sequence, (static_cast<uint64_t>(check_of(sequence, op.index)) << 32) | op.index}};
}

OperationTable::Found OperationTable::find(const acall_id& id, Operation** op, uint64_t* sequence) {
  uint64_t wanted = id.opaque[0];
  uint32_t index = static_cast<uint32_t>(id.opaque[1]);
  uint32_t chunk = index / kChunk;
  // acquire pairs with the release in allocate(): every id that was issued is below next_sequence_.
  if (wanted == 0 || wanted >= next_sequence_.load(std::memory_order_acquire)) return Found::kNever;
  if (chunk >= chunk_count_.load(std::memory_order_acquire)) return Found::kNever;
  if (static_cast<uint32_t>(id.opaque[1] >> 32) != check_of(wanted, index)) return Found::kNever;
  Operation* found = &chunks_[chunk].load(std::memory_order_acquire)[index % kChunk];
  uint64_t state = found->state.load(std::memory_order_acquire);
  if (state >> kStateBits != wanted || (state & kDone)) return Found::kComplete;
  *op = found;
  *sequence = wanted;
  return Found::kLive;
}

}  // namespace acall
