/* The typed builder of programs: calls by name, branches, loops, clean-up; it emits atoms as it is told. */
import { checkInteger, invalidArgType, invalidArgValue } from '../errors';
import {
  SYSLET_NR_CLOSE,
  SYSLET_NR_COMPARE,
  SYSLET_NR_LOAD,
  SYSLET_NR_MOVE,
  SYSLET_NR_SET,
  SYSLET_NR_STOP,
  SYSLET_NR_SUBTRACT,
  SYSLET_NR_UMEM_ADD,
  SYSLET_SKIP_TO_NEXT_ON_STOP,
  SYSLET_STOP_ON_NEGATIVE,
  SYSLET_STOP_ON_NON_POSITIVE,
  SYSLET_STOP_ON_NONZERO,
  SYSLET_STOP_ON_ZERO,
} from '../generated/layout';
import type { SyscallArgs, SyscallName } from '../generated/syscalls';
import { argumentWord, callSignature, returnsDescriptor } from './arguments';
import { type Assembler, type Atom, Label, nothing, type Section, type Step, type Word } from './assembler';
import { errnoNumber } from './errnos';
import {
  Condition,
  type Operand,
  operandWord,
  ProgramBytes,
  type ProgramData,
  ProgramDescriptor,
  ProgramText,
  type ProgramTexts,
  ProgramValue,
  ProgramVariable,
} from './values';

/** What an argument of a call may be besides what `syscall` takes. */
type Argument<T> = ArrayBufferView extends T ? T | ProgramValue | ProgramBytes | ProgramData : T | ProgramValue;

/** The arguments of a call in a program, by its name. */
export type ProgramArgs<Name extends SyscallName> = {
  readonly [K in keyof SyscallArgs[Name]]: Argument<SyscallArgs[Name][K]>;
};

/** Results on which a program stops. */
export type StopOn = 'negative' | 'zero' | 'nonzero' | 'nonpositive';

/** Options of {@link ProgramBuilder.call}. */
export interface CallOptions {
  /** Its name in results and errors; the name of the system call unless told. */
  as?: string;
  /**
   * Results on which the program stops here: 'negative' (an error) unless told; 'never' goes on whatever the result is. A
   * stop on a result below 0 makes the run fail, any other one is told by its result.
   */
  stopOn?: StopOn | readonly StopOn[] | 'never';
  /** Errors on which the program goes on, by their names: `['ENOENT']`. */
  allow?: string | readonly string[];
}

const kMasks: Record<StopOn, number> = {
  negative: SYSLET_STOP_ON_NEGATIVE,
  zero: SYSLET_STOP_ON_ZERO,
  nonzero: SYSLET_STOP_ON_NONZERO,
  nonpositive: SYSLET_STOP_ON_NON_POSITIVE,
};

/** The result word of a call that has not been made. */
export const kNotRun = -(2n ** 63n);
const kNoDescriptor = -1n;
const kControl: Step = { name: 'program', syscall: 'program' };

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
  readonly #descriptors: Word[] = [];
  readonly #finallies: { armed: Word; body: () => void; onlyUndone: boolean }[] = [];
  readonly #end = new Label();
  readonly #done: Word;
  #section: Section;
  #depth = 0;
  #isOver = false;

  /** @internal */
  constructor(assembler: Assembler) {
    this.#assembler = assembler;
    this.#section = assembler.main;
    this.#done = assembler.word(0n);
  }

  /**
   * Makes a system call.
   *
   * A call that returns a descriptor gives a {@link ProgramDescriptor}: the program owns it, and closes it when the run is over
   * unless it is part of the result.
   *
   * @param args as for `syscall`; text and views are constants of the program, copied now. Memory that the kernel writes is
   *   had from {@link bytes}
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
    this.#checkOpen();
    if (typeof options !== 'object' || options === null) throw invalidArgType('options', 'of type object', options);
    const { as = name, into } = options;
    if (typeof as !== 'string') throw invalidArgType('options.as', 'of type string', as);
    if (name === 'close' && Array.isArray(args) && args[0] instanceof ProgramDescriptor)
      return this.#close(args[0], options);
    const signature = callSignature(name, args);
    const returnsFd = returnsDescriptor(signature);
    if (into !== undefined && !(into instanceof ProgramDescriptor))
      throw invalidArgType('options.into', 'a descriptor of this program', into);
    if (into !== undefined && !returnsFd)
      throw invalidArgValue('options.into', `is for calls that return a descriptor, not for ${name}`, into);
    const words = args.map((arg, i) => argumentWord(this.#assembler, signature, i, arg));
    const result = this.#assembler.word(returnsFd ? kNoDescriptor : kNotRun);
    if (returnsFd) {
      this.#own(result);
      if (this.#depth > 0) this.#emit(SYSLET_NR_CLOSE, [this.#assembler.pointer(result)]); // of the round before
    }
    const step: Step = { name: as, syscall: name, path: signature.pathOf(args) };
    this.#emitCall(signature.nr, words, result, step, options);
    if (into === undefined)
      return returnsFd ? new ProgramDescriptor(this.#assembler, result, this.#depth) : this.#value(result);
    this.move(into, new ProgramDescriptor(this.#assembler, result, this.#depth));
    return into;
  }

  /** Closes a descriptor of the program now, if it is open; that close failed is an error of the program. */
  close(descriptor: ProgramDescriptor, options: CallOptions = {}): void {
    this.#checkOpen();
    this.#close(descriptor, options);
  }

  /** A descriptor that is not open yet, for `into` and {@link move}; `initial` may be `AT_FDCWD`. */
  descriptor(initial = -1): ProgramDescriptor {
    this.#checkOpen();
    checkInteger(initial, 'initial', -0x80000000, -1);
    const word = this.#assembler.word(BigInt(initial));
    this.#own(word);
    return new ProgramDescriptor(this.#assembler, word, 0);
  }

  /** Hands a descriptor over: what `to` held is closed, `from` holds nothing afterwards. */
  move(to: ProgramDescriptor, from: ProgramDescriptor): void {
    this.#checkOpen();
    for (const [name, value] of Object.entries({ to, from })) {
      if (!(value instanceof ProgramDescriptor)) throw invalidArgType(name, 'a descriptor of this program', value);
    }
    this.#emit(SYSLET_NR_MOVE, [this.#pointer(to), this.#pointer(from)]);
  }

  /** A variable; `initial` is what each run starts with: a number, or the address of memory. */
  variable(initial: number | bigint | ProgramBytes = 0): ProgramVariable {
    this.#checkOpen();
    const word = this.#assembler.word(
      initial instanceof ProgramBytes
        ? { to: initial.region, plus: initial.offset }
        : (operandWord(this.#assembler, initial, 'initial').initial as bigint),
    );
    return new ProgramVariable(this.#assembler, word, 0);
  }

  set(variable: ProgramVariable, value: Operand | ProgramBytes): void {
    this.#change(SYSLET_NR_SET, variable, value instanceof ProgramBytes ? value.pointer : this.#operand(value));
  }
  /** Adds in 64 bits, wrapping. */
  add(variable: ProgramVariable, value: Operand): void {
    this.#change(SYSLET_NR_UMEM_ADD, variable, this.#operand(value));
  }
  /** Subtracts in 64 bits, wrapping. */
  subtract(variable: ProgramVariable, value: Operand): void {
    this.#change(SYSLET_NR_SUBTRACT, variable, this.#operand(value));
  }

  /** Memory of each run, for calls that write or change it: so many bytes, or what each run starts with. */
  bytes(from: number | ArrayBufferView): ProgramBytes {
    this.#checkOpen();
    const content = ArrayBuffer.isView(from)
      ? new Uint8Array(from.buffer, from.byteOffset, from.byteLength).slice()
      : undefined;
    const byteLength = content?.length ?? checkInteger(from, 'from', 1, 0x40000000);
    return new ProgramBytes(this.#assembler, this.#assembler.region(byteLength, content), 0, byteLength);
  }

  /** The 8 bytes at `offset`, as a value: a field of a struct that the kernel has filled. */
  load(bytes: ProgramBytes, offset: number): ProgramValue {
    this.#checkOpen();
    if (!(bytes instanceof ProgramBytes)) throw invalidArgType('bytes', 'memory of this program', bytes);
    checkInteger(offset, 'offset', 0, bytes.byteLength - 8);
    const word = this.#assembler.word(kNotRun);
    this.#emit(SYSLET_NR_LOAD, [this.#assembler.pointer(word), bytes.from(offset).pointer]);
    return this.#value(word);
  }

  /** Runs `then` when the condition holds, `otherwise` when it does not. */
  if(condition: Condition, then: () => void, otherwise?: () => void): void {
    const elseLabel = new Label();
    const end = new Label();
    this.#test(condition, elseLabel);
    this.#inside(then, 'then');
    if (otherwise !== undefined) this.#jump(end);
    this.#section.place(elseLabel);
    if (otherwise !== undefined) this.#inside(otherwise, 'otherwise');
    this.#section.place(end);
  }

  /** Runs `body` until it leaves the loop, stops or fails; the bound on steps holds. */
  loop(body: (loop: ProgramLoop) => void): void {
    const top = new Label();
    const end = new Label();
    this.#section.place(top);
    this.#inside(() => body(this.#loopOf(top, end)), 'body');
    this.#jump(top);
    this.#section.place(end);
  }

  /** Runs `body` so many times. */
  repeat(times: Operand, body: (loop: ProgramLoop) => void): void {
    this.#checkOpen();
    const left = this.#value(this.#assembler.word(0n));
    this.#emit(SYSLET_NR_SET, [this.#pointer(left), this.#operand(times)]);
    this.loop((loop) => {
      loop.break(left.isNonPositive());
      this.#emit(SYSLET_NR_SUBTRACT, [this.#pointer(left), this.#assembler.constant(1n)]);
      body(loop);
    });
  }

  /** Runs `body` for each text of an input, in order. */
  each(texts: ProgramTexts, body: (text: ProgramText, loop: ProgramLoop) => void): void {
    this.#checkOpen();
    const cursor = this.#value(this.#assembler.word(0n));
    const text = this.#assembler.word(0n);
    this.#emit(SYSLET_NR_SET, [this.#pointer(cursor), texts.table]);
    this.repeat(texts.length, (loop) => {
      this.#emit(SYSLET_NR_LOAD, [this.#assembler.pointer(text), cursor.word]);
      this.#emit(SYSLET_NR_UMEM_ADD, [this.#pointer(cursor), this.#assembler.constant(8n)]);
      body(new ProgramText(this.#assembler, text, this.#depth), loop);
    });
  }

  /** Ends the run as done, if the condition holds: what follows is left out, clean-up is not. */
  finish(condition?: Condition): void {
    if (this.#section !== this.#assembler.main) throw invalidArgValue('condition', 'cannot end a clean-up', condition);
    this.#when(condition, () => this.#jump(this.#end));
  }

  /** Stops the run, if the condition holds; its result says so, under this name. */
  stop(name: string, condition?: Condition): void {
    if (typeof name !== 'string') throw invalidArgType('name', 'of type string', name);
    this.#when(condition, () => this.#emit(SYSLET_NR_STOP, [this.#assembler.constant(0n)], { name, syscall: name }));
  }

  /** Makes the run fail with an error of this name (`'EBUSY'`), if the condition holds; `name` is what has failed. */
  fail(error: string, name = 'program', condition?: Condition): void {
    const errno = errnoNumber(error);
    this.#when(condition, () =>
      this.#emit(SYSLET_NR_STOP, [this.#assembler.constant(BigInt(errno))], { name, syscall: name }),
    );
  }

  /**
   * Steps that run when the run is over, however it ends (done, stopped, failed, cancelled), if it got to this place; the
   * last one first, and all before descriptors are closed. Nothing cancels them. An error among them fails a run that was
   * done.
   */
  finally(body: () => void): void {
    this.#defer(body, false);
  }

  /** As {@link finally}, when the run was not done: what takes back what it did. */
  undo(body: () => void): void {
    this.#defer(body, true);
  }

  // ---- The end of building

  /** @internal Adds the clean-up; `handed` are the descriptors that a run that was done hands out. */
  finishBuilding(handed: ReadonlySet<Word>): void {
    if (this.#finallies.some(({ onlyUndone }) => onlyUndone)) {
      this.#section.place(this.#end);
      this.#emit(SYSLET_NR_SET, [this.#assembler.pointer(this.#done), this.#assembler.constant(1n)]);
    } else this.#section.place(this.#end);
    this.#section = this.#assembler.cleanup;
    this.#depth = 1;
    const deferred = this.#finallies.splice(0).reverse();
    for (const { armed, body, onlyUndone } of deferred) {
      const skip = new Label();
      this.#test(this.#value(armed).isNonZero(), skip);
      if (onlyUndone) this.#test(this.#value(this.#done).isZero(), skip);
      body();
      this.#section.place(skip);
    }
    for (const word of this.#descriptors.reverse()) {
      if (handed.has(word)) continue;
      this.#emit(
        SYSLET_NR_CLOSE,
        [this.#assembler.pointer(word)],
        { name: 'close', syscall: 'close' },
        SYSLET_STOP_ON_NEGATIVE,
      );
    }
    this.#isOver = true;
  }

  // ---- Pieces

  #checkOpen(): void {
    if (this.#isOver)
      throw invalidArgValue('program', 'is built already: steps are added inside its build function', this);
  }

  #value(word: Word): ProgramValue {
    return new ProgramValue(this.#assembler, word, this.#depth);
  }

  #operand(value: Operand): Word {
    return operandWord(this.#assembler, value, 'value');
  }

  #pointer(value: ProgramValue): Word {
    operandWord(this.#assembler, value, 'value');
    return this.#assembler.pointer(value.word);
  }

  #own(word: Word): void {
    this.#descriptors.push(word);
  }

  #emit(
    nr: number,
    args: readonly Word[],
    step = kControl,
    flags = 0,
    more: Partial<Pick<Atom, 'result' | 'next' | 'blame'>> = {},
  ): Atom {
    this.#checkOpen();
    const atom: Atom = { nr, flags, args, step, result: more.result, next: more.next, blame: more.blame };
    this.#section.atoms.push(atom);
    return atom;
  }

  /* A call and what becomes of its result. */
  #emitCall(
    nr: number,
    args: readonly Word[],
    result: Word,
    step: Step,
    { stopOn = 'negative', allow = [] }: CallOptions,
  ): void {
    const allowed = typeof allow === 'string' ? [allow] : allow;
    if (!Array.isArray(allowed)) throw invalidArgType('options.allow', 'of type string or an instance of Array', allow);
    const masks = typeof stopOn === 'string' ? (stopOn === 'never' ? [] : [stopOn]) : stopOn;
    let flags = 0;
    for (const mask of masks) {
      if (!Object.hasOwn(kMasks, mask)) {
        throw invalidArgValue(
          'options.stopOn',
          "must be 'never', or of 'negative', 'zero', 'nonzero', 'nonpositive'",
          stopOn,
        );
      }
      flags |= kMasks[mask];
    }
    if (allowed.length === 0) {
      this.#emit(nr, args, step, flags, { result });
      return;
    }
    // On a stop: is it one of the errors that are allowed? Otherwise it stops after all, and this call is to blame.
    const goOn = new Label();
    const atom = this.#emit(nr, args, step, flags | SYSLET_SKIP_TO_NEXT_ON_STOP, { result, next: goOn });
    for (const name of allowed) {
      const flags = SYSLET_STOP_ON_NONZERO | SYSLET_SKIP_TO_NEXT_ON_STOP;
      this.#emit(SYSLET_NR_COMPARE, [result, this.#assembler.constant(BigInt(errnoNumber(name)))], step, flags, {
        next: goOn,
      });
    }
    this.#emit(SYSLET_NR_STOP, [result], step, 0, { blame: atom });
    this.#section.place(goOn);
  }

  #close(descriptor: ProgramDescriptor, options: CallOptions): ProgramValue {
    if (!(descriptor instanceof ProgramDescriptor))
      throw invalidArgType('descriptor', 'a descriptor of this program', descriptor);
    const result = this.#assembler.word(kNotRun);
    this.#emitCall(
      SYSLET_NR_CLOSE,
      [this.#pointer(descriptor)],
      result,
      { name: options.as ?? 'close', syscall: 'close' },
      options,
    );
    return this.#value(result);
  }

  #change(nr: number, variable: ProgramVariable, value: Word): void {
    this.#checkOpen();
    if (!(variable instanceof ProgramVariable))
      throw invalidArgType('variable', 'a variable of this program', variable);
    this.#emit(nr, [this.#pointer(variable), value]);
  }

  /* Goes on behind this when the condition holds, else at the label. */
  #test(condition: Condition, otherwise: Label): void {
    if (!(condition instanceof Condition)) throw invalidArgType('condition', 'a condition: value.isZero()', condition);
    this.#emit(condition.nr, condition.args, kControl, condition.mask | SYSLET_SKIP_TO_NEXT_ON_STOP, {
      next: otherwise,
    });
  }

  #jump(to: Label): void {
    this.#checkOpen();
    this.#section.atoms.push(nothing(this.#assembler.constant(0n), to));
  }

  #when(condition: Condition | undefined, act: () => void): void {
    this.#checkOpen();
    const skip = new Label();
    if (condition !== undefined) this.#test(condition, skip);
    act();
    this.#section.place(skip);
  }

  #inside(body: () => void, name: string): void {
    this.#checkOpen();
    if (typeof body !== 'function') throw invalidArgType(name, 'of type function', body);
    this.#depth++;
    body();
    this.#depth--;
  }

  #loopOf(top: Label, end: Label): ProgramLoop {
    return {
      break: (condition) => this.#when(condition, () => this.#jump(end)),
      continue: (condition) => this.#when(condition, () => this.#jump(top)),
    };
  }

  #defer(body: () => void, onlyUndone: boolean): void {
    this.#checkOpen();
    if (typeof body !== 'function') throw invalidArgType('body', 'of type function', body);
    if (this.#section !== this.#assembler.main)
      throw invalidArgValue('body', 'cannot be deferred inside a clean-up', body);
    const armed = this.#assembler.word(0n);
    this.#emit(SYSLET_NR_SET, [this.#assembler.pointer(armed), this.#assembler.constant(1n)]);
    this.#finallies.push({ armed, body, onlyUndone });
  }
}

/** Calls whose result is a descriptor. */
export type DescriptorCall = Extract<
  SyscallName,
  | 'accept'
  | 'accept4'
  | 'creat'
  | 'dup'
  | 'epoll_create'
  | 'epoll_create1'
  | 'eventfd'
  | 'eventfd2'
  | 'fanotify_init'
  | 'fsmount'
  | 'fsopen'
  | 'fspick'
  | 'inotify_init'
  | 'inotify_init1'
  | 'io_uring_setup'
  | 'memfd_create'
  | 'memfd_secret'
  | 'mq_open'
  | 'open'
  | 'open_by_handle_at'
  | 'open_tree'
  | 'open_tree_attr'
  | 'openat'
  | 'openat2'
  | 'perf_event_open'
  | 'pidfd_getfd'
  | 'pidfd_open'
  | 'socket'
  | 'timerfd_create'
  | 'userfaultfd'
>; // prettier-ignore
