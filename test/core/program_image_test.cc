// Programs of the promise layer: clean-up and descriptors after a failure, a cancel or the end of the environment at
// every atom; memory of others; the calls that only these programs may make; results that nobody takes.
#include <vector>

#include "program_support.h"
#include "syscalls/dispose.h"
#include "threads/cancel.h"
#include "threads/pool_thread.h"

using namespace support;

namespace {

constexpr uint64_t kClosed = UINT64_MAX;

// A promise ring and an environment around it.
// An image, word by word and atom by atom; the words come first and are an area of their own.
class Image {
 public:
  uint32_t word(uint64_t value) {
    words_.push_back({value, false});
    return offset_of_word(words_.size() - 1);
  }
  uint32_t address(uint32_t offset) {
    words_.push_back({offset, true});
    return offset_of_word(words_.size() - 1);
  }
  // The offset of a run's payload behind the atoms. `atoms`: how many the image will have.
  uint32_t room(uint32_t length) {
    const uint32_t at = kCode + kAtoms * static_cast<uint32_t>(sizeof(syslet_uatom)) + room_;
    room_ += (length + 15) & ~15u;
    areas_.push_back({at, length});
    return at;
  }
  uint32_t text(const char* text) {
    texts_.push_back({room(static_cast<uint32_t>(strlen(text)) + 1), text});
    return address(texts_.back().first);
  }
  // Returns the atom's place.
  uint32_t atom(long nr, std::vector<uint32_t> args, uint32_t flags = 0, uint32_t result = 0, bool ends = false) {
    atoms_.push_back({static_cast<uint32_t>(nr), flags, std::move(args), result, ends, 0});
    return static_cast<uint32_t>(atoms_.size() - 1);
  }
  void go_to(uint32_t atom, uint32_t next) { atoms_[atom].next = next + 1; }
  void clean_up_from(uint32_t atom) { cleanup_ = offset_of_atom(atom); }
  void hand_out(uint32_t word) { handed_.push_back(word); }
  uint32_t offset_of_atom(uint32_t atom) const { return kCode + atom * static_cast<uint32_t>(sizeof(syslet_uatom)); }
  uint32_t max_steps = 1000;

  acall::ProgramImage link() {
    bytes_.assign(kCode + kAtoms * sizeof(syslet_uatom) + room_, 0);
    relocations_.clear();
    auto put = [&](uint32_t at, uint64_t value, bool is_offset) {
      memcpy(&bytes_[at], &value, sizeof value);
      if (is_offset) relocations_.push_back(at);
    };
    if (words_.size() > kWords || atoms_.size() > kAtoms) abort();
    for (size_t i = 0; i < words_.size(); ++i) put(offset_of_word(i), words_[i].first, words_[i].second);
    for (const auto& [at, text] : texts_) memcpy(&bytes_[at], text, strlen(text) + 1);
    for (size_t i = 0; i < atoms_.size(); ++i) {
      const Atom& atom = atoms_[i];
      const uint32_t at = offset_of_atom(static_cast<uint32_t>(i));
      memcpy(&bytes_[at], &atom.flags, 4);
      memcpy(&bytes_[at + 4], &atom.nr, 4);
      if (atom.result != 0) put(at + 8, atom.result, true);
      if (!atom.ends) put(at + 16, offset_of_atom(atom.next != 0 ? atom.next - 1 : static_cast<uint32_t>(i) + 1), true);
      for (size_t n = 0; n < atom.args.size(); ++n) put(at + 24 + static_cast<uint32_t>(n) * 8, atom.args[n], true);
    }
    all_areas_ = areas_;
    all_areas_.push_back({kFirstWord, kWords * 8});
    acall::ProgramImage image;
    image.bytes = bytes_.data();
    image.copied = image.size = static_cast<uint32_t>(bytes_.size());
    image.code = {kCode, static_cast<uint32_t>(atoms_.size() * sizeof(syslet_uatom))};
    image.entry = kCode;
    image.cleanup = cleanup_;
    image.max_steps = max_steps;
    image.relocations = relocations_.data();
    image.relocation_count = static_cast<uint32_t>(relocations_.size());
    image.areas = all_areas_.data();
    image.area_count = static_cast<uint32_t>(all_areas_.size());
    image.handed = handed_.data();
    image.handed_count = static_cast<uint32_t>(handed_.size());
    return image;
  }

 private:
  static constexpr uint32_t kFirstWord = 32, kWords = 64, kCode = kFirstWord + kWords * 8, kAtoms = 16;
  static uint32_t offset_of_word(size_t index) { return kFirstWord + static_cast<uint32_t>(index) * 8; }
  struct Atom {
    uint32_t nr, flags;
    std::vector<uint32_t> args;
    uint32_t result;
    bool ends;
    uint32_t next;
  };
  std::vector<std::pair<uint64_t, bool>> words_;
  std::vector<Atom> atoms_;
  std::vector<std::pair<uint32_t, const char*>> texts_;
  std::vector<acall::ProgramArea> areas_, all_areas_;
  std::vector<uint32_t> handed_, relocations_;
  std::vector<unsigned char> bytes_;
  uint32_t room_ = 0, cleanup_ = 0;
};

struct Run {
  acall_id id{};
  acall::Block* kept = nullptr;
  acall::ResultCarrier carrier;
  int status = 0;
  int64_t result = 0;

  Run(Promises& promises, const acall::ProgramImage& image, std::vector<acall::ProgramPatch> patches = {}) {
    acall::ProgramInputs inputs;
    inputs.cookie = 1;
    inputs.patches = patches.data();
    inputs.patch_count = static_cast<uint32_t>(patches.size());
    inputs.carrier = &carrier;
    status = acall::engine_submit_program(*promises.house.environment, *promises.ring, image, inputs, &id, &kept);
  }
  ~Run() {
    if (carrier.is_set) carrier.forget();
    acall::block_release(kept);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void finish(Promises& promises) {
    wait_for(id);
    acall_completion completion{};
    CHECK_EQ(acall::ring_drain(*promises.ring, &completion, 1), 1u);
    result = static_cast<int64_t>(completion.return_code);
  }
  syslet_report report() const {
    syslet_report told;
    memcpy(&told, memory(), sizeof told);
    return told;
  }
  uint64_t word(uint32_t offset) const {
    uint64_t value;
    memcpy(&value, memory() + offset, sizeof value);
    return value;
  }

 private:
  unsigned char* memory() const { return kept->data() + acall::kProgramMemory; }
};

// Opens two files and a copy that belongs to the result; one call blocks.
struct Holder {
  Image image;
  uint32_t first, second, third, read_at, calls;
  explicit Holder(const Pipe& pipe) {
    first = image.word(kClosed);
    second = image.word(kClosed);
    third = image.word(kClosed);
    const uint32_t here = image.word(static_cast<uint64_t>(AT_FDCWD));
    const uint32_t path = image.text("/proc/self/status");
    const uint32_t buffer = image.address(image.room(16));
    const uint32_t zero = image.word(0), one = image.word(1);
    image.atom(SYS_openat, {here, path, zero}, SYSLET_STOP_ON_NEGATIVE, first);
    image.atom(SYS_openat, {here, path, zero}, SYSLET_STOP_ON_NEGATIVE, second);
    read_at =
        image.atom(SYS_read, {image.word(static_cast<uint64_t>(pipe.read_end)), buffer, one}, SYSLET_STOP_ON_NEGATIVE);
    image.atom(SYS_dup, {first}, SYSLET_STOP_ON_NEGATIVE, third);
    image.atom(SYSLET_NR_CLOSE, {image.address(second)}, SYSLET_STOP_ON_NEGATIVE);
    image.atom(SYS_lseek, {first, zero, zero}, SYSLET_STOP_ON_NEGATIVE, 0, true);
    calls = 6;
    image.clean_up_from(image.atom(SYSLET_NR_CLOSE, {image.address(second)}, SYSLET_STOP_ON_NEGATIVE));
    image.atom(SYSLET_NR_CLOSE, {image.address(first)}, SYSLET_STOP_ON_NEGATIVE, 0, true);
    image.hand_out(third);
  }
};

// Descriptors of the runs below: no other code here opens that file.
int open_descriptors() { return open_files("/status"); }

std::atomic<uint32_t> entered{0};
std::atomic<uint32_t> chosen{UINT32_MAX};
acall_id to_cancel;
int64_t (*real_syscall)(acall::CancelWord&, uint32_t, const uint64_t*);

// Fails the n-th call that is no close.
int64_t failing(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  if (nr != SYS_close && entered.fetch_add(1) == chosen.load()) return -EIO;
  return real_syscall(word, nr, args);
}

// Cancels its own program before the n-th call.
int64_t cancelling(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  if (entered.fetch_add(1) == chosen.load()) acall::engine_cancel(to_cancel);
  return real_syscall(word, nr, args);
}

// The same after the n-th call.
int64_t cancelling_behind(acall::CancelWord& word, uint32_t nr, const uint64_t args[6]) {
  const int64_t result = real_syscall(word, nr, args);
  if (entered.fetch_add(1) == chosen.load()) acall::engine_cancel(to_cancel);
  return result;
}

}  // namespace

TEST("a run hands out what it says and closes the rest") {
  Promises promises;
  Pipe pipe;
  Holder holder(pipe);
  const acall::ProgramImage image = holder.image.link();
  CHECK(acall::program_image_is_valid(image));
  const int before = open_descriptors();
  pipe.write_bytes();
  Run run(promises, image);
  CHECK_EQ(run.status, 0);
  run.finish(promises);
  CHECK_EQ(run.result, 0);
  CHECK_EQ(run.report().end, SYSLET_END_DONE);
  CHECK_EQ(run.report().steps, 8u);
  CHECK_EQ(open_descriptors(), before + 1);
  const int handed = static_cast<int>(run.word(holder.third));
  CHECK_EQ(fcntl(handed, F_GETFD), 0);
  close(handed);
}

TEST("a call that fails at any place leaves no descriptor and is told") {
  WithSeams seams;
  real_syscall = seams.real().syscall;
  acall::seams.syscall = failing;
  Promises promises;
  Pipe pipe;
  Holder holder(pipe);
  const acall::ProgramImage image = holder.image.link();
  const int before = open_descriptors();
  for (uint32_t at = 0; at < 5; ++at) {  // five calls that are no close
    pipe.write_bytes();
    entered = 0;
    chosen = at;
    Run run(promises, image);
    run.finish(promises);
    CHECK_EQ(run.report().end, SYSLET_END_STOPPED);
    CHECK_EQ(run.report().result, -EIO);
    CHECK_EQ(run.report().last, holder.image.offset_of_atom(at < 4 ? at : 5));
    CHECK_EQ(open_descriptors(), before);
  }
  chosen = UINT32_MAX;
}

TEST("a cancel at any place leaves no descriptor") {
  WithSeams seams;
  real_syscall = seams.real().syscall;
  Promises promises;
  Pipe pipe;
  pipe.write_bytes(4000);
  Holder holder(pipe);
  const acall::ProgramImage image = holder.image.link();
  const int before = open_descriptors();
  for (FakeSyscall fake : {cancelling, cancelling_behind}) {
    for (uint32_t at = 0; at < 9; ++at) {
      acall::seams.syscall = fake;
      entered = 0;
      chosen = at;
      acall::ProgramInputs inputs;
      inputs.cookie = 1;
      acall::ResultCarrier carrier;
      inputs.carrier = &carrier;
      acall::Block* kept = nullptr;
      // The op's id is stored before it is published, so that its thread finds it.
      CHECK_EQ(
          acall::engine_submit_program(*promises.house.environment, *promises.ring, image, inputs, &to_cancel, &kept),
          0);
      wait_for(to_cancel);
      acall_completion completion{};
      CHECK_EQ(acall::ring_drain(*promises.ring, &completion, 1), 1u);
      syslet_report told;
      memcpy(&told, kept->data() + acall::kProgramMemory, sizeof told);
      if (told.end == SYSLET_END_DONE) {
        acall::Leftovers leftovers;
        carrier.back_end->collect(carrier.call, carrier.extra, 0, leftovers);
        acall::PoolThread here;
        leftovers.close(here);
      } else {
        CHECK_EQ(told.end, SYSLET_END_CANCELLED);
      }
      CHECK_EQ(open_descriptors(), before);
      if (carrier.is_set) carrier.forget();
      acall::block_release(kept);
    }
  }
}

TEST("a cancel of a run that blocks interrupts it and cleans up") {
  Promises promises;
  Pipe pipe;
  Holder holder(pipe);
  const acall::ProgramImage image = holder.image.link();
  const int before = open_descriptors();
  for (int i = 0; i < 200; ++i) {
    Run run(promises, image);
    if (i % 2 == 0) until([&] { return open_descriptors() >= before + 2; });
    acall::engine_cancel(run.id);
    run.finish(promises);
    if (run.result == 0) {
      CHECK_EQ(run.report().end, SYSLET_END_CANCELLED);
    } else {
      CHECK_EQ(run.result, -ECANCELED);  // the program had not begun
    }
    CHECK_EQ(open_descriptors(), before);
  }
}

TEST("an environment that ends leaves no descriptor of its runs") {
  Pipe pipe;
  const int before = open_descriptors();
  for (int i = 0; i < 40; ++i) {
    Promises promises;
    Holder holder(pipe);
    const acall::ProgramImage image = holder.image.link();
    Run run(promises, image);
    if (i % 2 == 0) until([&] { return open_descriptors() >= before + 2; });
    promises.house.detach();
    until([&] { return is_complete(run.id); });
    CHECK_EQ(open_descriptors(), before);
  }
}

TEST("a result that nobody takes is closed: given up in the kernel, or lying in the ring") {
  Promises promises;
  Pipe pipe;
  Holder holder(pipe);
  const acall::ProgramImage image = holder.image.link();
  const int before = open_descriptors();
  {
    Run run(promises, image);
    until([&] { return open_descriptors() >= before + 2; });
    acall::cancel_unwanted(&run.id, 1);
    run.finish(promises);
    CHECK_EQ(open_descriptors(), before);
  }
  pipe.write_bytes();
  Run run(promises, image);
  run.finish(promises);
  CHECK_EQ(open_descriptors(), before + 1);
  CHECK(run.carrier.is_set);
  acall::dispose_later(*promises.house.environment, run.carrier, run.result);
  until([&] { return open_descriptors() == before; });
}

TEST("what is not the program's memory is the call's -EFAULT") {
  Promises promises;
  Pipe pipe;
  pipe.write_bytes(64);
  // The house's arena is memory that raw ops may use, and programs of the promise layer may not.
  auto* arena_bytes = static_cast<char*>(promises.house.alloc(64));
  char outside[64];
  Image image;
  const uint32_t buffer = image.room(16);
  const uint32_t target = image.word(0), result = image.word(77), length = image.word(16);
  image.atom(SYS_read, {image.word(static_cast<uint64_t>(pipe.read_end)), target, length}, 0, result, true);
  const acall::ProgramImage linked = image.link();
  auto outcome = [&](uint64_t address, bool is_offset, uint64_t bytes) {
    Run run(promises, linked, {{target, is_offset, address}, {length, 0, bytes}});
    run.finish(promises);
    return static_cast<int64_t>(run.word(result));
  };
  CHECK_EQ(outcome(buffer, true, 16), 16);
  CHECK_EQ(outcome(buffer + 8, true, 8), 8);
  CHECK_EQ(outcome(buffer, true, 17), -EFAULT);
  CHECK_EQ(outcome(buffer + 8, true, 9), -EFAULT);
  CHECK_EQ(outcome(image.offset_of_atom(0), true, 8), -EFAULT);  // its own atoms
  CHECK_EQ(outcome(0, true, 8), -EFAULT);                        // its report
  CHECK_EQ(outcome(address_of(arena_bytes), false, 8), -EFAULT);
  CHECK_EQ(outcome(address_of(outside), false, 8), -EFAULT);
  CHECK_EQ(outcome(UINT64_MAX - 7, false, 8), -EFAULT);
}

TEST("the calls of programs alone: set, subtract, compare, load, move, stop") {
  Promises promises;
  Image image;
  const uint32_t a = image.word(5), b = image.word(7), less = image.word(99), loaded = image.word(0);
  const uint32_t fd = image.word(kClosed), other = image.word(static_cast<uint64_t>(AT_FDCWD));
  image.atom(SYSLET_NR_SET, {image.address(a), image.word(40)});
  image.atom(SYSLET_NR_SUBTRACT, {image.address(a), b});                               // 33
  image.atom(SYSLET_NR_COMPARE, {image.word(static_cast<uint64_t>(-3)), b}, 0, less);  // signed: -1
  image.atom(SYSLET_NR_LOAD, {image.address(loaded), image.address(a)});
  image.atom(SYS_dup, {image.word(1)}, SYSLET_STOP_ON_NEGATIVE, fd);
  image.atom(SYSLET_NR_MOVE, {image.address(other), image.address(fd)});
  image.atom(SYSLET_NR_CLOSE, {image.address(fd)}, SYSLET_STOP_ON_NEGATIVE);  // there is no descriptor: 0
  image.atom(SYSLET_NR_STOP, {image.word(12)});
  image.atom(SYSLET_NR_SET, {image.address(a), image.word(1)}, 0, 0, true);  // never
  const acall::ProgramImage linked = image.link();
  Run run(promises, linked);
  run.finish(promises);
  CHECK_EQ(run.word(a), 33u);
  CHECK_EQ(static_cast<int64_t>(run.word(less)), -1);
  CHECK_EQ(run.word(loaded), 33u);
  CHECK_EQ(run.word(fd), kClosed);
  CHECK_EQ(run.report().end, SYSLET_END_STOPPED);
  CHECK_EQ(run.report().result, 12);
  CHECK_EQ(run.report().last, image.offset_of_atom(7));
  CHECK_EQ(close(static_cast<int>(run.word(other))), 0);
}

TEST("a pair of descriptors is taken over in one step, and once") {
  Promises promises;
  Image image;
  const uint32_t pair = image.word(kClosed), first = image.word(kClosed), second = image.word(kClosed);
  const uint32_t nothing = image.word(99), outside = image.word(99);
  const auto split = [&](uint32_t result) {
    image.atom(SYSLET_NR_SPLIT, {image.address(first), image.address(second), image.address(pair)}, 0, result);
  };
  split(nothing);                // no pair is there
  for (int i = 0; i < 2; ++i) {  // the second time closes the first pair
    image.atom(SYS_pipe2, {image.address(pair), image.word(O_CLOEXEC)}, SYSLET_STOP_ON_NEGATIVE);
    split(0);
  }
  split(0);
  image.atom(SYSLET_NR_SPLIT, {image.address(first), image.address(second), image.word(4096)}, 0, outside, true);
  const acall::ProgramImage linked = image.link();
  const int before = open_files("]");  // pipe:[...]
  Run run(promises, linked);
  run.finish(promises);
  CHECK_EQ(run.report().end, SYSLET_END_DONE);
  CHECK_EQ(open_files("]"), before + 2);
  CHECK_EQ(run.word(pair), kClosed);
  CHECK_EQ(run.word(nothing), 0u);
  CHECK_EQ(static_cast<int64_t>(run.word(outside)), -EFAULT);
  CHECK_EQ(fcntl(static_cast<int>(run.word(first)), F_GETFL) & O_ACCMODE, O_RDONLY);
  CHECK_EQ(fcntl(static_cast<int>(run.word(second)), F_GETFL) & O_ACCMODE, O_WRONLY);
  CHECK_EQ(close(static_cast<int>(run.word(first))), 0);
  CHECK_EQ(close(static_cast<int>(run.word(second))), 0);
}

TEST("a run that takes too many steps ends, and its clean-up runs") {
  Promises promises;
  Image image;
  image.max_steps = 100;
  const uint32_t counter = image.word(0), cleaned = image.word(0), one = image.word(1);
  const uint32_t loop = image.atom(SYSLET_NR_UMEM_ADD, {image.address(counter), one});
  image.go_to(loop, loop);
  image.clean_up_from(image.atom(SYSLET_NR_UMEM_ADD, {image.address(cleaned), one}, 0, 0, true));
  const acall::ProgramImage linked = image.link();
  Run run(promises, linked);
  run.finish(promises);
  CHECK_EQ(run.report().end, SYSLET_END_STEPS);
  CHECK_EQ(run.report().result, -ELOOP);
  CHECK_EQ(run.word(counter), 100u);
  CHECK_EQ(run.word(cleaned), 1u);
}

TEST("an image or inputs that point nowhere are refused") {
  Promises promises;
  Image image;
  image.atom(SYS_getppid, {}, 0, image.word(0), true);
  const acall::ProgramImage good = image.link();
  CHECK(acall::program_image_is_valid(good));
  acall::ProgramImage bad = good;
  bad.entry = good.size;
  CHECK(!acall::program_image_is_valid(bad));
  bad = good;
  bad.entry += 4;
  CHECK(!acall::program_image_is_valid(bad));
  bad = good;
  bad.cleanup = 8;
  CHECK(!acall::program_image_is_valid(bad));
  bad = good;
  bad.code.length = good.size;
  CHECK(!acall::program_image_is_valid(bad));
  const acall::ProgramArea wide{8, good.size};
  bad = good;
  bad.areas = &wide;
  bad.area_count = 1;
  CHECK(!acall::program_image_is_valid(bad));
  const uint32_t word = good.size - 4;
  bad = good;
  bad.handed = &word;
  bad.handed_count = 1;
  CHECK(!acall::program_image_is_valid(bad));
  bad = good;
  bad.relocations = &word;
  bad.relocation_count = 1;
  CHECK(!acall::program_image_is_valid(bad));
  CHECK_EQ(Run(promises, good, {{good.size - 4, 0, 1}}).status, -EINVAL);
  CHECK_EQ(Run(promises, good, {{32, 1, good.size + 1}}).status, -EINVAL);
  CHECK_EQ(Run(promises, good, {{36, 0, 1}}).status, -EINVAL);
}

TEST("nothing interrupts a clean-up") {
  Promises promises;
  Pipe pipe;
  Image image;
  const uint32_t result = image.word(77), one = image.word(1);
  const uint32_t buffer = image.address(image.room(16));
  image.atom(SYS_getppid, {}, 0, 0, true);
  image.clean_up_from(image.atom(SYS_read, {image.word(static_cast<uint64_t>(pipe.read_end)), buffer, one},
                                 SYSLET_STOP_ON_NEGATIVE, result, true));
  const acall::ProgramImage linked = image.link();
  for (int i = 0; i < 50; ++i) {
    Run run(promises, linked);
    until([] { return counters().running > 0; });
    const int answer = acall::engine_cancel(run.id);
    CHECK_EQ(acall::engine_cancel(run.id), answer);
    pipe.write_bytes();
    run.finish(promises);
    if (run.result == -ECANCELED) {  // the program had not begun
      char byte;
      CHECK_EQ(read(pipe.read_end, &byte, 1), 1);
      continue;
    }
    CHECK_EQ(run.word(result), 1u);
  }
}
