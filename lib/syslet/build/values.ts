/* The objects that stand for the values, memory and inputs of a run while a program is built. */
import { checkInteger, invalidArgType, isA, outOfRange, typeError } from '../../errors';
import {
  SYSLET_NR_COMPARE,
  SYSLET_STOP_ON_NEGATIVE,
  SYSLET_STOP_ON_NON_POSITIVE,
  SYSLET_STOP_ON_NONZERO,
  SYSLET_STOP_ON_ZERO,
} from '../../generated/layout';
import { type Assembler, look, type Region, type Word } from './assembler';

/** A number, or a value of a run. */
export type Operand = number | bigint | ProgramValue;

/*
 * An object that stands for something of a run. It throws where it is used as a number or a text: `value + 1` or `value < 3` would
 * otherwise be computed once, while the program is built.
 */
abstract class Handle {
  /** @internal */
  [Symbol.toPrimitive](hint: string): never {
    throw typeError(
      `A ${this.constructor.name} is no ${hint === 'string' ? 'string' : 'number'} while the program is built: only a run has ` +
        'its value. See add() and subtract() of the builder, and isLessThan() and its like of the value',
    );
  }
}

/** A condition that each run tests when it gets there: see `ProgramBuilder.if`. Made by the methods of {@link ProgramValue}. */
export class Condition extends Handle {
  /** @internal */
  readonly nr: number;
  /** @internal */
  readonly args: readonly Word[];
  /** @internal The stop mask that fits the result when the condition holds. */
  readonly mask: number;

  /** @internal */
  constructor(nr: number, args: readonly Word[], mask: number) {
    super();
    this.nr = nr;
    this.args = args;
    this.mask = mask;
  }
}

/** @internal A number of 64 bits as a bigint. @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function checkValue(value: unknown, name: string): bigint {
  if (typeof value === 'bigint') {
    if (value < -(2n ** 63n) || value >= 2n ** 64n) throw outOfRange(name, '>= -(2n ** 63n) and < 2n ** 64n', value);
    return value;
  }
  if (typeof value !== 'number')
    throw invalidArgType(name, 'of type number or bigint, or a value of the program', value);
  if (!Number.isSafeInteger(value)) throw outOfRange(name, 'a safe integer', value);
  return BigInt(value);
}

/**
 * A 64-bit value of a run: the result of a call, an input, a variable. Its methods make conditions; they compare signed
 * numbers.
 */
export class ProgramValue extends Handle {
  /** @internal */
  readonly assembler: Assembler;
  /** @internal */
  readonly word: Word;
  /** @internal The number of branches and loops around the place where the value was made. */
  readonly depth: number;

  /** @internal */
  constructor(assembler: Assembler, word: Word, depth: number) {
    super();
    this.assembler = assembler;
    this.word = word;
    this.depth = depth;
    for (const name of ['assembler', 'word', 'depth']) Object.defineProperty(this, name, { enumerable: false });
  }

  /** Holds when the value is 0. */
  isZero(): Condition {
    return this.#looked(SYSLET_STOP_ON_ZERO);
  }
  /** Holds when the value is not 0. */
  isNonZero(): Condition {
    return this.#looked(SYSLET_STOP_ON_NONZERO);
  }
  /** Holds when the value is below 0. */
  isNegative(): Condition {
    return this.#looked(SYSLET_STOP_ON_NEGATIVE);
  }
  /** Holds when the value is 0 or more. */
  isNonNegative(): Condition {
    return this.#compared(-1, true, SYSLET_STOP_ON_NEGATIVE);
  }
  /** Holds when the value is above 0. */
  isPositive(): Condition {
    return this.#compared(0, true, SYSLET_STOP_ON_NEGATIVE);
  }
  /** Holds when the value is 0 or less. */
  isNonPositive(): Condition {
    return this.#looked(SYSLET_STOP_ON_NON_POSITIVE);
  }
  /** Holds when the value equals the other one. */
  equals(other: Operand): Condition {
    return this.#compared(other, false, SYSLET_STOP_ON_ZERO);
  }
  /** Holds when the value differs from the other one. */
  differsFrom(other: Operand): Condition {
    return this.#compared(other, false, SYSLET_STOP_ON_NONZERO);
  }
  /** Holds when the value is less than the other one. */
  isLessThan(other: Operand): Condition {
    return this.#compared(other, false, SYSLET_STOP_ON_NEGATIVE);
  }
  /** Holds when the value is less than the other one or equals it. */
  isAtMost(other: Operand): Condition {
    return this.#compared(other, false, SYSLET_STOP_ON_NON_POSITIVE);
  }
  /** Holds when the value is greater than the other one. */
  isGreaterThan(other: Operand): Condition {
    return this.#compared(other, true, SYSLET_STOP_ON_NEGATIVE);
  }
  /** Holds when the value is greater than the other one or equals it. */
  isAtLeast(other: Operand): Condition {
    return this.#compared(other, true, SYSLET_STOP_ON_NON_POSITIVE);
  }

  /** For the result of a program: the value as a bigint, because a number holds at most 2^53 - 1. */
  asBigInt(): WideResult {
    return new WideResult(this);
  }

  #looked(mask: number): Condition {
    const { nr, args } = look(this.assembler.pointer(this.word), this.assembler.constant(0n));
    return new Condition(nr, args, mask);
  }

  #compared(other: Operand, reversed: boolean, mask: number): Condition {
    const word = operandWord(this.assembler, other, 'other');
    return new Condition(SYSLET_NR_COMPARE, reversed ? [word, this.word] : [this.word, word], mask);
  }
}

/** @internal The word of a number or a value. */
export function operandWord(assembler: Assembler, operand: unknown, name: string): Word {
  if (isA(operand, ProgramValue)) {
    if (operand.assembler !== assembler) throw invalidArgType(name, 'a value of this program', operand);
    return operand.word;
  }
  return assembler.constant(checkValue(operand, name));
}

/** A value that `set`, `add` and `subtract` of the builder change. */
export class ProgramVariable extends ProgramValue {
  declare private readonly isVariable: true;
}

/**
 * A descriptor that the program owns. It is closed at the end of the run, however the run ends, unless it is part of the result of
 * a run that was done.
 */
export class ProgramDescriptor extends ProgramValue {
  declare private readonly isDescriptor: true;
}

/** An input of kind 'text', or one of 'texts': the address of its bytes. */
export class ProgramText extends ProgramValue {
  declare private readonly isText: true;
}

/** An input of kind 'data': bytes that are copied in when the run starts. */
export class ProgramData extends ProgramValue {
  /** The number of bytes. */
  readonly byteLength: ProgramValue;

  /** @internal */
  constructor(assembler: Assembler, word: Word, byteLength: ProgramValue) {
    super(assembler, word, 0);
    this.byteLength = byteLength;
  }
}

/** An input of kind 'texts', for `ProgramBuilder.each`. */
export class ProgramTexts extends Handle {
  /** The number of texts. */
  readonly length: ProgramValue;
  /** @internal The address of a table of addresses. */
  readonly table: Word;

  /** @internal */
  constructor(table: Word, length: ProgramValue) {
    super();
    this.table = table;
    this.length = length;
  }
}

/**
 * Memory of a run. Its content is unspecified until a call has written there; it starts with zeros when the whole memory is
 * part of the result.
 */
export class ProgramBytes extends Handle {
  /** The number of bytes. */
  readonly byteLength: number;
  /** @internal */
  readonly assembler: Assembler;
  /** @internal */
  readonly region: Region;
  /** @internal */
  readonly offset: number;

  /** @internal */
  constructor(assembler: Assembler, region: Region, offset: number, byteLength: number) {
    super();
    this.assembler = assembler;
    this.region = region;
    this.offset = offset;
    this.byteLength = byteLength;
  }

  /** @internal */
  get pointer(): Word {
    return this.assembler.pointer(this.region, this.offset);
  }

  /** The bytes from `offset` on. */
  from(offset: number): ProgramBytes {
    checkInteger(offset, 'offset', 0, this.byteLength);
    return new ProgramBytes(this.assembler, this.region, this.offset + offset, this.byteLength - offset);
  }

  /** For the result of a program: only the first `length` bytes; none when the value is negative. */
  first(length: number | ProgramValue): BytesResult {
    if (!isA(length, ProgramValue)) checkInteger(length, 'length', 0, this.byteLength);
    return new BytesResult(this, length);
  }
}

/** The first bytes of memory, as part of a result: see {@link ProgramBytes.first}. */
export class BytesResult extends Handle {
  /** @internal */
  readonly bytes: ProgramBytes;
  /** @internal */
  readonly length: number | ProgramValue;

  /** @internal */
  constructor(bytes: ProgramBytes, length: number | ProgramValue) {
    super();
    this.bytes = bytes;
    this.length = length;
  }
}

/** A value as a bigint, as part of a result: see {@link ProgramValue.asBigInt}. */
export class WideResult extends Handle {
  /** @internal */
  readonly value: ProgramValue;

  /** @internal */
  constructor(value: ProgramValue) {
    super();
    this.value = value;
  }
}
