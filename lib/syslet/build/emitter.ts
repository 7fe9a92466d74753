/* Emitter: adds atoms to a program one after the other: calls with their stop masks, tests, jumps. */
import { invalidArgType, invalidArgValue, isA, isArray } from '../../errors';
import {
  SYSLET_NR_COMPARE,
  SYSLET_NR_STOP,
  SYSLET_SKIP_TO_NEXT_ON_STOP,
  SYSLET_STOP_ON_NEGATIVE,
  SYSLET_STOP_ON_NON_POSITIVE,
  SYSLET_STOP_ON_NONZERO,
  SYSLET_STOP_ON_ZERO,
} from '../../generated/layout';
import { type Assembler, type Atom, Label, nothing, type Section, type Step, type Word } from './assembler';
import { errnoNumber } from './errnos';
import { Condition, type Operand, operandWord, ProgramValue } from './values';

/** Results on which a program stops. */
export type StopOn = 'negative' | 'zero' | 'nonzero' | 'nonpositive';

/** Options of `ProgramBuilder.call`. */
export interface CallOptions {
  /** Name of the step in results and errors; the name of the system call by default. */
  as?: string;
  /**
   * Results on which the program stops here: 'negative' (an error) by default; with 'never' it goes on after any result. A stop
   * on a result below 0 makes the run fail; a stop on any other result resolves with `done` false.
   */
  stopOn?: StopOn | readonly StopOn[] | 'never';
  /** Names of errors on which the program goes on: `['ENOENT']`. */
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
const kControl: Step = { name: 'program', syscall: 'program' };

function masksOf(stopOn: CallOptions['stopOn']): number {
  const names = stopOn === 'never' ? [] : typeof stopOn === 'string' ? [stopOn] : stopOn;
  if (!isArray(names)) throw invalidArgType('options.stopOn', 'of type string or an instance of Array', stopOn);
  let flags = 0;
  for (const name of names as readonly StopOn[]) {
    if (!Object.hasOwn(kMasks, name)) {
      const reason = "must be 'never', or of 'negative', 'zero', 'nonzero', 'nonpositive'";
      throw invalidArgValue('options.stopOn', reason, stopOn);
    }
    flags |= kMasks[name];
  }
  return flags;
}

/** Emits the atoms of one program into its main section, later into its clean-up. */
export class Emitter {
  readonly assembler: Assembler;
  section: Section;
  /** How many branches and loops are open. */
  depth = 0;
  isOver = false;

  constructor(assembler: Assembler) {
    this.assembler = assembler;
    this.section = assembler.main;
  }

  /** @throws ERR_INVALID_ARG_VALUE when the program is built already */
  checkOpen(): void {
    if (!this.isOver) return;
    throw invalidArgValue('program', 'is built already: steps are added inside its build function', this);
  }

  /** The value in a word. */
  value(word: Word): ProgramValue {
    return new ProgramValue(this.assembler, word, this.depth);
  }

  /** The word of a number or a value. */
  operand(value: Operand): Word {
    return operandWord(this.assembler, value, 'value');
  }

  /** A word that points to the word of a value. */
  pointer(value: ProgramValue): Word {
    return this.assembler.pointer(operandWord(this.assembler, value, 'value'));
  }

  /** Adds one atom. */
  emit(
    nr: number,
    args: readonly Word[],
    step = kControl,
    flags = 0,
    more: Partial<Pick<Atom, 'result' | 'next' | 'blame'>> = {},
  ): Atom {
    this.checkOpen();
    const atom: Atom = { nr, flags, args, step, result: more.result, next: more.next, blame: more.blame };
    this.section.atoms.push(atom);
    return atom;
  }

  /** Adds a call with its stop mask and its allowed errors. */
  emitCall(
    nr: number,
    args: readonly Word[],
    result: Word,
    step: Step,
    { stopOn = 'negative', allow = [] }: CallOptions,
  ): void {
    const allowed = typeof allow === 'string' ? [allow] : allow;
    if (!isArray(allowed)) throw invalidArgType('options.allow', 'of type string or an instance of Array', allow);
    const flags = masksOf(stopOn);
    if (allowed.length === 0) {
      this.emit(nr, args, step, flags, { result });
      return;
    }
    // After a stop the result is compared with each allowed error. If it is none of them, the program stops, and the report
    // names this call.
    const goOn = new Label();
    const atom = this.emit(nr, args, step, flags | SYSLET_SKIP_TO_NEXT_ON_STOP, { result, next: goOn });
    for (const name of allowed) {
      const errno = this.assembler.constant(BigInt(errnoNumber(name)));
      const differs = SYSLET_STOP_ON_NONZERO | SYSLET_SKIP_TO_NEXT_ON_STOP;
      this.emit(SYSLET_NR_COMPARE, [result, errno], step, differs, { next: goOn });
    }
    this.emit(SYSLET_NR_STOP, [result], step, 0, { blame: atom });
    this.section.place(goOn);
  }

  /** Adds a test: the program goes on with the next atom when the condition holds, otherwise at the label. */
  test(condition: Condition, otherwise: Label): void {
    if (!isA(condition, Condition)) throw invalidArgType('condition', 'a condition: value.isZero()', condition);
    const flags = condition.mask | SYSLET_SKIP_TO_NEXT_ON_STOP;
    this.emit(condition.nr, condition.args, kControl, flags, { next: otherwise });
  }

  /** Adds a jump. */
  jump(to: Label): void {
    this.checkOpen();
    this.section.atoms.push(nothing(this.assembler.constant(0n), to));
  }

  /** Adds the atoms of `act`, which run only when the condition holds; always without a condition. */
  when(condition: Condition | undefined, act: () => void): void {
    this.checkOpen();
    const skip = new Label();
    if (condition !== undefined) this.test(condition, skip);
    act();
    this.section.place(skip);
  }

  /** Adds the atoms of the body of a branch or a loop. */
  inside(body: () => void, name: string): void {
    this.checkOpen();
    if (typeof body !== 'function') throw invalidArgType(name, 'of type function', body);
    this.depth++;
    body();
    this.depth--;
  }
}
