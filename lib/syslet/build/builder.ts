/* ProgramBuilder: the typed builder of programs. Calls by name, branches, loops and clean-up become atoms. docs/programs.md */
import { checkInteger, checkOptions, invalidArgType, invalidArgValue, isA, isArray, optionNames } from '../../errors';
import {
  SYSLET_NR_CLOSE,
  SYSLET_NR_LOAD,
  SYSLET_NR_MOVE,
  SYSLET_NR_SET,
  SYSLET_NR_SPLIT,
  SYSLET_NR_STOP,
  SYSLET_NR_SUBTRACT,
  SYSLET_NR_UMEM_ADD,
} from '../../generated/layout';
import type { DescriptorCall, SyscallArgs, SyscallName } from '../../generated/syscalls';
import { argumentWord, callSignature, returnsDescriptor } from './arguments';
import { type Assembler, Label, type Step, type Word } from './assembler';
import { Cleanup } from './cleanup';
import { type CallOptions, Emitter, kNotRun } from './emitter';
import { errnoNumber } from './errnos';
import {
  type Condition,
  type Operand,
  operandWord,
  ProgramBytes,
  type ProgramData,
  ProgramDescriptor,
  ProgramText,
  ProgramTexts,
  type ProgramValue,
  ProgramVariable,
} from './values';

/** An argument of a call in a program: what `syscall` takes, a value, or memory. */
type Argument<T> = ArrayBufferView extends T ? T | ProgramValue | ProgramBytes | ProgramData : T | ProgramValue;

type Arguments<T extends readonly unknown[]> = { readonly [K in keyof T]: Argument<T[K]> };

/** The arguments of a call in a program, by its name. */
export type ProgramArgs<Name extends SyscallName> = Arguments<SyscallArgs[Name]>;

const kNoDescriptor = -1n;
const kPlainCallOptions = optionNames('as stopOn allow');
const kCallOptions = optionNames('as stopOn allow into');

function checkBody(body: unknown): void {
  if (typeof body !== 'function') throw invalidArgType('body', 'of type function', body);
}

/** The ways out of a loop, for its body. */
export interface ProgramLoop {
  /** Leaves the loop; with a condition, only if it holds. */
  break(condition?: Condition): void;
  /** Goes on with the next round; with a condition, only if it holds. */
  continue(condition?: Condition): void;
}

/**
 * Builds a program: each method adds a step, in the order of the calls. A method returns an object that stands for the value that
 * each run will have there. Every method throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE for wrong
 * arguments.
 */
export class ProgramBuilder {
  readonly #assembler: Assembler;
  readonly #emitter: Emitter;
  readonly #cleanup: Cleanup;

  /** @internal */
  constructor(assembler: Assembler) {
    this.#assembler = assembler;
    this.#emitter = new Emitter(assembler);
    this.#cleanup = new Cleanup(this.#emitter);
  }

  /**
   * Makes a system call.
   *
   * For a call that returns a descriptor it returns a {@link ProgramDescriptor}. The program owns the descriptor and closes it at
   * the end of the run, unless it is part of the result.
   *
   * @param name the name of the call
   * @param args as for `syscall`. Text and views are constants of the program, copied now. Memory that the kernel writes to
   *   comes from {@link bytes}.
   * @param options `into`: a descriptor that takes the result over; the descriptor that it held is closed
   * @throws SyscallError EPERM for a call that may not run in the pool, ENOSYS
   *
   * @example
   * const fd = p.call('openat', [constants.AT_FDCWD, path, constants.O_RDONLY], { allow: 'ENOENT' });
   */
  call<Name extends SyscallName>(
    name: Name,
    args: ProgramArgs<Name>,
    options: CallOptions & { into: ProgramDescriptor },
  ): ProgramDescriptor;
  call<Name extends DescriptorCall>(name: Name, args: ProgramArgs<Name>, options?: CallOptions): ProgramDescriptor;
  call<Name extends SyscallName>(name: Name, args: ProgramArgs<Name>, options?: CallOptions): ProgramValue;
  call(
    name: SyscallName,
    args: readonly unknown[],
    options: CallOptions & { into?: ProgramDescriptor } = {},
  ): ProgramValue {
    this.#emitter.checkOpen();
    checkOptions(options, kCallOptions);
    const { as = name, into } = options;
    if (typeof as !== 'string') throw invalidArgType('options.as', 'of type string', as);
    if (name === 'close' && isArray(args) && isA(args[0], ProgramDescriptor)) return this.#close(args[0], options);
    const signature = callSignature(name, args);
    const returnsFd = returnsDescriptor(signature);
    if (into !== undefined && !isA(into, ProgramDescriptor))
      throw invalidArgType('options.into', 'a descriptor of this program', into);
    if (into !== undefined && !returnsFd)
      throw invalidArgValue('options.into', `is for calls that return a descriptor, not for ${name}`, into);
    const words = args.map((arg, i) => argumentWord(this.#assembler, signature, i, arg));
    const result = this.#assembler.word(returnsFd ? kNoDescriptor : kNotRun);
    if (returnsFd) {
      this.#cleanup.own(result);
      // In a loop: closes the descriptor of the round before.
      if (this.#emitter.depth > 0) this.#emitter.emit(SYSLET_NR_CLOSE, [this.#assembler.pointer(result)]);
    }
    const step: Step = { name: as, syscall: name, path: signature.pathOf(args) };
    this.#emitter.emitCall(signature.nr, words, result, step, options);
    if (into === undefined)
      return returnsFd
        ? new ProgramDescriptor(this.#assembler, result, this.#emitter.depth)
        : this.#emitter.value(result);
    this.move(into, new ProgramDescriptor(this.#assembler, result, this.#emitter.depth));
    return into;
  }

  /**
   * Makes a pipe or two connected sockets, and returns both descriptors. The program owns them, as it owns those of {@link
   * call}. The first descriptor of a pipe is for reading.
   *
   * @param args the arguments of the call, without the memory for the descriptors
   *
   * @example
   * const [readEnd, writeEnd] = p.pair('pipe2', [constants.O_CLOEXEC]);
   */
  pair(name: 'pipe2', args: readonly [flags: Operand], options?: CallOptions): [ProgramDescriptor, ProgramDescriptor];
  pair(
    name: 'socketpair',
    args: readonly [domain: Operand, type: Operand, protocol: Operand],
    options?: CallOptions,
  ): [ProgramDescriptor, ProgramDescriptor];
  pair(
    name: 'pipe2' | 'socketpair',
    args: readonly unknown[],
    options: CallOptions = {},
  ): [ProgramDescriptor, ProgramDescriptor] {
    this.#emitter.checkOpen();
    if (name !== 'pipe2' && name !== 'socketpair')
      throw invalidArgValue('name', "must be 'pipe2' or 'socketpair'", name);
    if (!isArray(args)) throw invalidArgType('args', 'an instance of Array', args);
    checkOptions(options, kPlainCallOptions);
    const { as = name } = options;
    if (typeof as !== 'string') throw invalidArgType('options.as', 'of type string', as);
    const wanted = name === 'pipe2' ? 1 : 3;
    if (args.length !== wanted) throw invalidArgValue('args', `must have ${wanted} entries for ${name}`, args);
    const assembler = this.#assembler;
    const emitter = this.#emitter;
    const stored = assembler.pointer(assembler.word(kNoDescriptor)); // two ints of -1
    const signature = callSignature(name, name === 'pipe2' ? [null, ...args] : [...args, null], true);
    const words = args.map((arg, i) => argumentWord(assembler, signature, name === 'pipe2' ? i + 1 : i, arg));
    const both = [assembler.word(kNoDescriptor), assembler.word(kNoDescriptor)] as const;
    const split = [...both.map((word) => assembler.pointer(word)), stored];
    // In a loop: closes the descriptors of the round before.
    if (emitter.depth > 0) for (const word of both) emitter.emit(SYSLET_NR_CLOSE, [assembler.pointer(word)]);
    this.#cleanup.own(...both);
    this.#cleanup.split(split);
    const call = name === 'pipe2' ? [stored, ...words] : [...words, stored];
    emitter.emitCall(
      signature.nr,
      call,
      assembler.word(kNotRun),
      { name: as, syscall: name, path: undefined },
      options,
    );
    emitter.emit(SYSLET_NR_SPLIT, split);
    return [
      new ProgramDescriptor(assembler, both[0], emitter.depth),
      new ProgramDescriptor(assembler, both[1], emitter.depth),
    ];
  }

  /** Closes a descriptor of the program now, if it is open. A close that fails is an error of the program. */
  close(descriptor: ProgramDescriptor, options: CallOptions = {}): void {
    this.#emitter.checkOpen();
    this.#close(descriptor, options);
  }

  /** A descriptor variable, for `into` and {@link move}. `initial` is negative: -1 (not open, the default) or `AT_FDCWD`. */
  descriptor(initial = -1): ProgramDescriptor {
    this.#emitter.checkOpen();
    checkInteger(initial, 'initial', -0x80000000, -1);
    const word = this.#assembler.word(BigInt(initial));
    this.#cleanup.own(word);
    return new ProgramDescriptor(this.#assembler, word, 0);
  }

  /** Moves a descriptor from `from` to `to`. The descriptor that `to` held is closed, and `from` holds none afterwards. */
  move(to: ProgramDescriptor, from: ProgramDescriptor): void {
    this.#emitter.checkOpen();
    for (const [name, value] of Object.entries({ to, from })) {
      if (!isA(value, ProgramDescriptor)) throw invalidArgType(name, 'a descriptor of this program', value);
    }
    this.#emitter.emit(SYSLET_NR_MOVE, [this.#emitter.pointer(to), this.#emitter.pointer(from)]);
  }

  /** A 64-bit variable. Each run starts with `initial`: a number, or the address of memory. */
  variable(initial: number | bigint | ProgramBytes = 0): ProgramVariable {
    this.#emitter.checkOpen();
    const word = this.#assembler.word(
      isA(initial, ProgramBytes)
        ? { to: initial.region, plus: initial.offset }
        : (operandWord(this.#assembler, initial, 'initial').initial as bigint),
    );
    return new ProgramVariable(this.#assembler, word, 0);
  }

  /** Sets the variable to a number, a value, or the address of memory. */
  set(variable: ProgramVariable, value: Operand | ProgramBytes): void {
    this.#change(SYSLET_NR_SET, variable, isA(value, ProgramBytes) ? value.pointer : this.#emitter.operand(value));
  }
  /** Adds to the variable in 64 bits, wrapping. */
  add(variable: ProgramVariable, value: Operand): void {
    this.#change(SYSLET_NR_UMEM_ADD, variable, this.#emitter.operand(value));
  }
  /** Subtracts from the variable in 64 bits, wrapping. */
  subtract(variable: ProgramVariable, value: Operand): void {
    this.#change(SYSLET_NR_SUBTRACT, variable, this.#emitter.operand(value));
  }

  /**
   * Memory of each run, for calls that write or change it. `from` is a number of bytes, or the content that each run starts
   * with.
   */
  bytes(from: number | ArrayBufferView): ProgramBytes {
    this.#emitter.checkOpen();
    const content = ArrayBuffer.isView(from)
      ? new Uint8Array(from.buffer, from.byteOffset, from.byteLength).slice()
      : undefined;
    const byteLength = content?.length ?? checkInteger(from, 'from', 1, 0x40000000);
    return new ProgramBytes(this.#assembler, this.#assembler.region(byteLength, content), 0, byteLength);
  }

  /** The 8 bytes at `offset` as a value, for instance a field of a struct that the kernel has filled. */
  load(bytes: ProgramBytes, offset: number): ProgramValue {
    this.#emitter.checkOpen();
    if (!isA(bytes, ProgramBytes)) throw invalidArgType('bytes', 'memory of this program', bytes);
    checkInteger(offset, 'offset', 0, bytes.byteLength - 8);
    const word = this.#assembler.word(kNotRun);
    this.#emitter.emit(SYSLET_NR_LOAD, [this.#assembler.pointer(word), bytes.from(offset).pointer]);
    return this.#emitter.value(word);
  }

  /** A branch: a run goes through `then` when the condition holds, and through `otherwise` when it does not. */
  if(condition: Condition, then: () => void, otherwise?: () => void): void {
    const elseLabel = new Label();
    const end = new Label();
    this.#emitter.test(condition, elseLabel);
    this.#emitter.inside(then, 'then');
    if (otherwise !== undefined) this.#emitter.jump(end);
    this.#emitter.section.place(elseLabel);
    if (otherwise !== undefined) this.#emitter.inside(otherwise, 'otherwise');
    this.#emitter.section.place(end);
  }

  /** A loop: a run repeats `body` until it breaks, finishes, stops or fails, or has taken `maxSteps`. */
  loop(body: (loop: ProgramLoop) => void): void {
    checkBody(body);
    const top = new Label();
    const end = new Label();
    this.#emitter.section.place(top);
    this.#emitter.inside(() => body(this.#loopOf(top, end)), 'body');
    this.#emitter.jump(top);
    this.#emitter.section.place(end);
  }

  /** A loop of so many rounds. */
  repeat(times: Operand, body: (loop: ProgramLoop) => void): void {
    this.#emitter.checkOpen();
    checkBody(body);
    const left = this.#emitter.value(this.#assembler.word(0n));
    this.#emitter.emit(SYSLET_NR_SET, [this.#emitter.pointer(left), this.#emitter.operand(times)]);
    this.loop((loop) => {
      loop.break(left.isNonPositive());
      this.#emitter.emit(SYSLET_NR_SUBTRACT, [this.#emitter.pointer(left), this.#assembler.constant(1n)]);
      body(loop);
    });
  }

  /** A loop over the texts of an input, in order. */
  each(texts: ProgramTexts, body: (text: ProgramText, loop: ProgramLoop) => void): void {
    this.#emitter.checkOpen();
    if (!isA(texts, ProgramTexts)) throw invalidArgType('texts', "an input of kind 'texts' of this program", texts);
    checkBody(body);
    const cursor = this.#emitter.value(this.#assembler.word(0n));
    const text = this.#assembler.word(0n);
    this.#emitter.emit(SYSLET_NR_SET, [this.#emitter.pointer(cursor), texts.table]);
    this.repeat(texts.length, (loop) => {
      this.#emitter.emit(SYSLET_NR_LOAD, [this.#assembler.pointer(text), cursor.word]);
      this.#emitter.emit(SYSLET_NR_UMEM_ADD, [this.#emitter.pointer(cursor), this.#assembler.constant(8n)]);
      body(new ProgramText(this.#assembler, text, this.#emitter.depth), loop);
    });
  }

  /** Ends the run as done; with a condition, only if it holds. The steps that follow do not run, the clean-up does. */
  finish(condition?: Condition): void {
    if (this.#emitter.section !== this.#assembler.main)
      throw invalidArgValue('condition', 'cannot end a clean-up', condition);
    this.#emitter.when(condition, () => this.#emitter.jump(this.#cleanup.end));
  }

  /** Stops the run; with a condition, only if it holds. `stoppedAt` of the result is `name`. */
  stop(name: string, condition?: Condition): void {
    if (typeof name !== 'string') throw invalidArgType('name', 'of type string', name);
    this.#emitter.when(condition, () =>
      this.#emitter.emit(SYSLET_NR_STOP, [this.#assembler.constant(0n)], { name, syscall: name }),
    );
  }

  /**
   * Makes the run fail with the error `error` (such as 'EBUSY'); with a condition, only if it holds. `name` is the failed
   * step.
   */
  fail(error: string, name = 'program', condition?: Condition): void {
    if (typeof name !== 'string') throw invalidArgType('name', 'of type string', name);
    const errno = errnoNumber(error);
    this.#emitter.when(condition, () =>
      this.#emitter.emit(SYSLET_NR_STOP, [this.#assembler.constant(BigInt(errno))], { name, syscall: name }),
    );
  }

  /**
   * Steps for the end of the run, however it ends (done, stopped, failed, cancelled), if the run has come to this place. The
   * last `finally` runs first, and all run before descriptors are closed. A cancel does not interrupt them. An error in them
   * makes a run fail that was done.
   */
  finally(body: () => void): void {
    this.#cleanup.defer(body, false);
  }

  /** As {@link finally}, but only for a run that was not done: steps that undo its work. */
  undo(body: () => void): void {
    this.#cleanup.defer(body, true);
  }

  /** @internal Adds the clean-up. `handed`: the descriptors that belong to the caller after a run that was done. */
  finishBuilding(handed: ReadonlySet<Word>): void {
    this.#cleanup.finish(handed);
  }

  #close(descriptor: ProgramDescriptor, options: CallOptions): ProgramValue {
    checkOptions(options, kPlainCallOptions);
    if (!isA(descriptor, ProgramDescriptor)) {
      throw invalidArgType('descriptor', 'a descriptor of this program', descriptor);
    }
    const result = this.#assembler.word(kNotRun);
    const step = { name: options.as ?? 'close', syscall: 'close' };
    this.#emitter.emitCall(SYSLET_NR_CLOSE, [this.#emitter.pointer(descriptor)], result, step, options);
    return this.#emitter.value(result);
  }

  #change(nr: number, variable: ProgramVariable, value: Word): void {
    if (!isA(variable, ProgramVariable)) {
      throw invalidArgType('variable', 'a variable of this program', variable);
    }
    this.#emitter.emit(nr, [this.#emitter.pointer(variable), value]);
  }

  #loopOf(top: Label, end: Label): ProgramLoop {
    return {
      break: (condition) => this.#emitter.when(condition, () => this.#emitter.jump(end)),
      continue: (condition) => this.#emitter.when(condition, () => this.#emitter.jump(top)),
    };
  }
}
