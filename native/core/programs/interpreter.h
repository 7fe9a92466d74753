// The interpreter of programs: runs one atom after the other. interpreter.cc has the steps, interpreter_prepare.cc
// reads and checks an atom before its call. Entered by the thread that has the run, see program.h; no lock is held, and
// arenas_lock is taken inside.
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

  // True: the program is over. False: this thread must not run its next atom.
  bool run();

  // After run(): runs the atoms of the clean-up, also when the program was cancelled, and closes the descriptors of the
  // result when the program has none.
  void clean_up();

  // Notifies the thread inside async_exec that its wait is over.
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
  // Stores in the op's facts what a canceller and an ending environment have to know of the next call. seq_cst: either
  // this thread sees the canceller's kCancelling, or the canceller sees these facts.
  void show(uint32_t facts);

  // The next four functions are called under arenas_lock for programs in arenas.
  // Reads an atom. 0, or the error with which the program ends here.
  int read_atom(uint64_t at);
  // Reads the arguments of the atom and checks its call. Runs a call that needs no kernel.
  Plan prepare(int64_t* result);
  // The same for an atom of which the submitting thread has transferred a part: the plan is to transfer the rest, or to
  // end with the part when the op is cancelled.
  Plan prepare_rest(int64_t* result);
  Plan prepare_own_call(int64_t* result);

  Step take_step();
  Step go_on(uint64_t at, int64_t result);
  Step hand_over(uint32_t flags);
  Step end(uint32_t how, uint64_t at, int64_t result);
  // Makes the call inline. False: nothing has happened, except that a part may have been transferred.
  bool call_inline(int64_t* result);
  // Stores the result of a call in memory. False: that memory is gone.
  bool settle(int64_t result);
  int64_t close_word(uint64_t at);
  int64_t close_or_move();
  // Moves both descriptors of a pair to words of their own, so that each can be closed or belong to the result.
  int64_t split(uint64_t first, uint64_t second, uint64_t from);
  // Runs the clean-up. The run then reports the first failure, of the program or of its clean-up.
  void run_cleanup();
  // Notes the first failed call of the clean-up, which goes on after failures.
  void note_failure(uint64_t at, int64_t result);

  ProgramRun& run_;
  Operation& op_;
  PoolThread& self_;
  const bool inline_;
  const bool raw_;  // the program is one of async_exec: its memory lies in arenas
  const Memory memory_;
  Call call_;  // the atom's call
  syslet_uatom atom_{};
  uint32_t shown_ = 0;      // the facts that show() has stored
  bool may_block_ = false;  // the next call may block
  bool cleaning_ = false;
  Ending failed_{};  // the first call of the clean-up that failed
};

}  // namespace acall

#endif  // ACALL_CORE_PROGRAMS_INTERPRETER_H_
