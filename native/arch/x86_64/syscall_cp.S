// int64_t acall_syscall_cp(const volatile uint32_t* cancelled, uint64_t nr, const uint64_t args[6])
//
//   in   rdi = address of the thread's cancel word   rsi = nr   rdx = args
//   live r11 = cancel word until the instruction     rax = nr, then the result
//   out  rax = result or -errno; -ECANCELED when the kernel was not entered
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
  .type acall_syscall_cp, @function
acall_syscall_cp:
  .cfi_startproc
  mov %rdi, %r11
  mov %rsi, %rax
  mov %rdx, %rcx
  mov (%rcx), %rdi
  mov 8(%rcx), %rsi
  mov 16(%rcx), %rdx
  mov 24(%rcx), %r10
  mov 32(%rcx), %r8
  mov 40(%rcx), %r9
acall_cp_begin:
  cmpl $0, (%r11)
  jne acall_cp_cancel
  syscall
acall_cp_end:
  ret
acall_cp_cancel:
  mov $-125, %rax
  ret
  .cfi_endproc
  .size acall_syscall_cp, . - acall_syscall_cp

// Where a signal handler returns to (SA_RESTORER): calls rt_sigreturn, which does not return.
  .globl acall_sigreturn
  .hidden acall_sigreturn
  .type acall_sigreturn, @function
acall_sigreturn:
  mov $15, %eax
  syscall
  .size acall_sigreturn, . - acall_sigreturn

  .section .note.GNU-stack, "", @progbits
