// int64_t acall_syscall_cp(const volatile uint32_t* cancelled, uint64_t nr, const uint64_t args[6])
//
//   in   x0 = address of the thread's cancel word   x1 = nr   x2 = args
//   live x9 = cancel word                           x8 = nr   x10 = scratch
//   out  x0 = result or -errno; -ECANCELED when the kernel was not entered
//
// Between acall_cp_begin and acall_cp_end nothing has happened yet: a signal handler that finds the program counter there
// moves it to acall_cp_cancel. From acall_cp_end on the result of the kernel stands. See docs/cancellation.md.
  .text
  .globl acall_syscall_cp
  .hidden acall_syscall_cp
  .globl acall_cp_begin
  .hidden acall_cp_begin
  .globl acall_cp_end
  .hidden acall_cp_end
  .globl acall_cp_cancel
  .hidden acall_cp_cancel
  .type acall_syscall_cp, %function
acall_syscall_cp:
  .cfi_startproc
  hint #34                    // bti c
  mov x9, x0
  mov x8, x1
  mov x10, x2
  ldp x0, x1, [x10]
  ldp x2, x3, [x10, #16]
  ldp x4, x5, [x10, #32]
acall_cp_begin:
  ldr w10, [x9]
  cbnz w10, acall_cp_cancel
  svc #0
acall_cp_end:
  ret
acall_cp_cancel:
  mov x0, #-125
  ret
  .cfi_endproc
  .size acall_syscall_cp, . - acall_syscall_cp

  .section .note.GNU-stack, "", %progbits
