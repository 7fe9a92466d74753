/* The typed builder of programs: calls by name, branches, loops, clean-up; it emits atoms as it is told. */
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

/** What an argument of a call may be besides what `syscall` takes. */
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

/** Ways out of a loop. */
export interface ProgramLoop {
  /** Leaves the loop, if the condition holds. */
  break(condition?: Condition): void;
  /** Goes on with the next round, if the condition holds. */
  continue(condition?: Condition): void;
}

/**
 * Builds a program: each method adds a step, in the order of the calls. What a method returns stands for the value that a
 * run will have there.
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
   * A call that returns a descriptor gives a {@link ProgramDescriptor}: the program owns it, and closes it when the run is over
   * unless it is part of the result.
   *
   * @param args as for `syscall`; text and views are constants of the program, copied now. Memory that the kernel writes to
   *   comes from {@link bytes}
   * @param options `into`: a descriptor that takes over the result; what it held is closed
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; a SyscallError for a call that may not run in the pool
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
      if (this.#emitter.depth > 0) this.#emitter.emit(SYSLET_NR_CLOSE, [this.#assembler.pointer(result)]); // of the round before
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
   * Makes a pipe, or two connected sockets: both descriptors, which the program owns as it does those of {@link call}. Of a
   * pipe the first one is for reading.
   *
   * @param args those of the call but for the memory that takes the descriptors
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
    if (emitter.depth > 0) for (const word of both) emitter.emit(SYSLET_NR_CLOSE, [assembler.pointer(word)]); // of the round before
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

  /** A descriptor that is not open yet, for `into` and {@link move}; `initial` may be `AT_FDCWD`. */
  descriptor(initial = -1): ProgramDescriptor {
    this.#emitter.checkOpen();
    checkInteger(initial, 'initial', -0x80000000, -1);
    const word = this.#assembler.word(BigInt(initial));
    this.#cleanup.own(word);
    return new ProgramDescriptor(this.#assembler, word, 0);
  }

  /** Moves a descriptor: closes the one that `to` held; `from` holds none afterwards. */
  move(to: ProgramDescriptor, from: ProgramDescriptor): void {
    this.#emitter.checkOpen();
    for (const [name, value] of Object.entries({ to, from })) {
      if (!isA(value, ProgramDescriptor)) throw invalidArgType(name, 'a descriptor of this program', value);
    }
    this.#emitter.emit(SYSLET_NR_MOVE, [this.#emitter.pointer(to), this.#emitter.pointer(from)]);
  }

  /** A variable; `initial` is what each run starts with: a number, or the address of memory. */
  variable(initial: number | bigint | ProgramBytes = 0): ProgramVariable {
    this.#emitter.checkOpen();
    const word = this.#assembler.word(
      isA(initial, ProgramBytes)
        ? { to: initial.region, plus: initial.offset }
        : (operandWord(this.#assembler, initial, 'initial').initial as bigint),
    );
    return new ProgramVariable(this.#assembler, word, 0);
  }

  set(variable: ProgramVariable, value: Operand | ProgramBytes): void {
    this.#change(SYSLET_NR_SET, variable, isA(value, ProgramBytes) ? value.pointer : this.#emitter.operand(value));
  }
  /** Adds in 64 bits, wrapping. */
  add(variable: ProgramVariable, value: Operand): void {
    this.#change(SYSLET_NR_UMEM_ADD, variable, this.#emitter.operand(value));
  }
  /** Subtracts in 64 bits, wrapping. */
  subtract(variable: ProgramVariable, value: Operand): void {
    this.#change(SYSLET_NR_SUBTRACT, variable, this.#emitter.operand(value));
  }

  /** Memory of each run, for calls that write or change it: so many bytes, or what each run starts with. */
  bytes(from: number | ArrayBufferView): ProgramBytes {
    this.#emitter.checkOpen();
    const content = ArrayBuffer.isView(from)
      ? new Uint8Array(from.buffer, from.byteOffset, from.byteLength).slice()
      : undefined;
    const byteLength = content?.length ?? checkInteger(from, 'from', 1, 0x40000000);
    return new ProgramBytes(this.#assembler, this.#assembler.region(byteLength, content), 0, byteLength);
  }

  /** The 8 bytes at `offset`, as a value: a field of a struct that the kernel has filled. */
  load(bytes: ProgramBytes, offset: number): ProgramValue {
    this.#emitter.checkOpen();
    if (!isA(bytes, ProgramBytes)) throw invalidArgType('bytes', 'memory of this program', bytes);
    checkInteger(offset, 'offset', 0, bytes.byteLength - 8);
    const word = this.#assembler.word(kNotRun);
    this.#emitter.emit(SYSLET_NR_LOAD, [this.#assembler.pointer(word), bytes.from(offset).pointer]);
    return this.#emitter.value(word);
  }

  /** Runs `then` when the condition holds, `otherwise` when it does not. */
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

  /** Runs `body` until it leaves the loop, stops or fails; the bound on steps holds. */
  loop(body: (loop: ProgramLoop) => void): void {
    checkBody(body);
    const top = new Label();
    const end = new Label();
    this.#emitter.section.place(top);
    this.#emitter.inside(() => body(this.#loopOf(top, end)), 'body');
    this.#emitter.jump(top);
    this.#emitter.section.place(end);
  }

  /** Runs `body` so many times. */
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

  /** Runs `body` for each text of an input, in order. */
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

  /** Ends the run as done, if the condition holds: the steps that follow do not run, the clean-up does. */
  finish(condition?: Condition): void {
    if (this.#emitter.section !== this.#assembler.main)
      throw invalidArgValue('condition', 'cannot end a clean-up', condition);
    this.#emitter.when(condition, () => this.#emitter.jump(this.#cleanup.end));
  }

  /** Stops the run, if the condition holds. `stoppedAt` of its result is this name. */
  stop(name: string, condition?: Condition): void {
    if (typeof name !== 'string') throw invalidArgType('name', 'of type string', name);
    this.#emitter.when(condition, () =>
      this.#emitter.emit(SYSLET_NR_STOP, [this.#assembler.constant(0n)], { name, syscall: name }),
    );
  }

  /** Makes the run fail with an error of this name (`'EBUSY'`), if the condition holds; `name` is what has failed. */
  fail(error: string, name = 'program', condition?: Condition): void {
    const errno = errnoNumber(error);
    this.#emitter.when(condition, () =>
      this.#emitter.emit(SYSLET_NR_STOP, [this.#assembler.constant(BigInt(errno))], { name, syscall: name }),
    );
  }

  /**
   * Steps for the end of the run, however it ends (done, stopped, failed, cancelled), if the run got to this place. The last
   * `finally` runs first, and all run before descriptors are closed. Nothing cancels them. An error among them makes a run fail
   * that was done.
   */
  finally(body: () => void): void {
    this.#cleanup.defer(body, false);
  }

  /** As {@link finally}, but only when the run was not done: steps that undo what the run did. */
  undo(body: () => void): void {
    this.#cleanup.defer(body, true);
  }

  /** @internal Adds the clean-up; `handed` are the descriptors that a run that was done hands out. */
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
