// The interpreter of programs: one atom after the other, from memory to the kernel and back. interpreter.cc has the
// steps, interpreter_prepare.cc what comes before the kernel. Entered by the thread that has the run, see program.h;
// the locks are taken inside.
#ifndef ACALL_CORE_PROGRAMS_INTERPRETER_H_
#define ACALL_CORE_PROGRAMS_INTERPRETER_H_

#include <cstdint>

#include "abi.h"
#include "op/arenas.h"
#include "op/operation.h"
#include "programs/program.h"
#include "syscalls/pointer_check.h"

namespace acall {

// arenas_lock, for programs whose memory lies in arenas.
class MaybeHold {
 public:
  explicit MaybeHold(bool wanted) : wanted_(wanted) {
    if (wanted_) arenas_lock.lock();
  }
  ~MaybeHold() {
    if (wanted_) arenas_lock.unlock();
  }
  MaybeHold(const MaybeHold&) = delete;
  MaybeHold& operator=(const MaybeHold&) = delete;

 private:
  const bool wanted_;
};

class Interpreter {
 public:
  Interpreter(ProgramRun& run, Operation& op, PoolThread& self, bool is_inline);

  // True: the program is over; false: its next atom is none for this thread.
  bool run();

  // When run() is over: the atoms that always run, cancelled or not, and the descriptors of a result that there is not.
  void clean_up();

  // Tells the thread inside async_exec that it need not wait any longer.
  void let_caller_go(bool ended);

 private:
  enum class Step { kOn, kOver, kHandOver };
  enum class Plan { kCall, kClose, kResult, kStop, kHandOver, kCancelled };

  struct Ending {
    uint64_t last;
    int64_t result;
    uint32_t end;
  };

  bool reaches(uint64_t address, uint64_t length = sizeof(uint64_t)) const;
  bool reaches_atom(uint64_t address) const;
  bool is_cancelled() const;
  // Lets a canceller and an ending environment know what this thread is about to do. seq_cst, as a canceller's look at
  // the facts behind its raised bit: one of the two sees the other.
  void show(uint32_t facts);

  // These four under arenas_lock, for programs in arenas. 0, or why the program ends here.
  int read_atom(uint64_t at);
  // What the atom read last asks for: its arguments, its checks, and at once what needs no kernel.
  Plan prepare(int64_t* result);
  // The atom has got a part of its bytes on the submitting thread: the rest, or no more than that.
  Plan prepare_rest(int64_t* result);
  Plan prepare_own_call(int64_t* result);

  Step take_step();
  Step go_on(uint64_t at, int64_t result);
  Step hand_over(uint32_t flags);
  Step end(uint32_t how, uint64_t at, int64_t result);
  // On the submitting thread, without waiting. False: nothing has happened, but for bytes that the pool adds the rest
  // to.
  bool call_inline(int64_t* result);
  // Brings the result of a call to memory. False: that memory is gone.
  bool settle(int64_t result);
  int64_t close_word(uint64_t at);
  int64_t close_or_move();
  // Both descriptors of a pair to words of their own, which the program may hand out and closes one by one.
  int64_t split(uint64_t first, uint64_t second, uint64_t from);
  // What went wrong first is what is told.
  void run_cleanup();
  // Nothing stops a clean-up; the first call of it that failed is remembered.
  void note_failure(uint64_t at, int64_t result);

  ProgramRun& run_;
  Operation& op_;
  PoolThread& self_;
  const bool inline_;
  const bool raw_;  // its memory lies in arenas
  const Memory memory_;
  Call call_;  // of the atom
  syslet_uatom atom_{};
  uint32_t shown_ = 0;
  bool may_block_ = false;  // the call that is about to be made
  bool cleaning_ = false;
  Ending failed_{};  // the first call of the clean-up that failed
};

}  // namespace acall

#endif  // ACALL_CORE_PROGRAMS_INTERPRETER_H_
