/* The inputs of a program: their kinds while it is built, and the record of the inputs of one run. */
import { types } from 'node:util';
import { invalidArgType, invalidArgValue, isArray, isObject } from '../../errors';
import { ProgramArea, ProgramPatch, RunRecord, Wire } from '../../generated/wire';
import type { Assembler, Word } from '../build/assembler';
import { checkValue, ProgramData, ProgramText, ProgramTexts, ProgramValue } from '../build/values';

/** The kind of an input: a path or other text, a list of texts, a number, or bytes. */
export type InputKind = 'text' | 'texts' | 'number' | 'data';

interface InputTypes {
  text: string | Uint8Array;
  texts: readonly (string | Uint8Array)[];
  number: number | bigint;
  data: ArrayBufferView;
}
interface HandleTypes {
  text: ProgramText;
  texts: ProgramTexts;
  number: ProgramValue;
  data: ProgramData;
}

/** The inputs of a run, by name. */
export type InputsOf<Kinds extends Record<string, InputKind>> = { readonly [K in keyof Kinds]: InputTypes[Kinds[K]] };
/** The objects that stand for the inputs in the build function, by name. */
export type HandlesOf<Kinds extends Record<string, InputKind>> = { readonly [K in keyof Kinds]: HandleTypes[Kinds[K]] };

const kMaxPayload = 0x40000000;

interface Input {
  readonly name: string;
  readonly kind: InputKind;
  readonly word: Word;
  /** The number of texts of 'texts', or of bytes of 'data'. */
  readonly count: Word | undefined;
}

/** The inputs of one run, checked and measured. */
export interface Encoded {
  readonly values: readonly unknown[];
  readonly patches: number;
  readonly areas: number;
  readonly payload: number;
  /** Size of the record in bytes. */
  readonly bytes: number;
}

function aligned(bytes: number): number {
  return (bytes + Wire.recordAlign - 1) & -Wire.recordAlign;
}

function textLength(value: unknown, name: string): number {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw invalidArgValue(name, 'must be a string without null bytes', value);
    return aligned(Buffer.byteLength(value) + 1);
  }
  if (!types.isUint8Array(value)) throw invalidArgType(name, 'of type string or an instance of Uint8Array', value);
  if (value.includes(0)) throw invalidArgValue(name, 'must be bytes without null bytes', value);
  return aligned(value.length + 1);
}

/** Memory for records of runs, as bytes and as words of four and of eight bytes. */
export class Scratch {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly wide: BigUint64Array;

  constructor(byteLength: number) {
    this.buffer = new ArrayBuffer(byteLength);
    this.bytes = new Uint8Array(this.buffer);
    this.words = new Uint32Array(this.buffer);
    this.wide = new BigUint64Array(this.buffer);
  }
}

/** The inputs of one program. */
export class Inputs {
  readonly #inputs: Input[] = [];
  readonly handles: Record<string, ProgramValue | ProgramTexts> = {};

  constructor(kinds: Record<string, InputKind>, assembler: Assembler) {
    if (!isObject(kinds)) throw invalidArgType('inputs', 'of type object', kinds);
    for (const [name, kind] of Object.entries(kinds)) {
      const word = assembler.word(0n);
      const count = kind === 'texts' || kind === 'data' ? assembler.word(0n) : undefined;
      const number = count && new ProgramValue(assembler, count, 0);
      if (kind === 'text') this.handles[name] = new ProgramText(assembler, word, 0);
      else if (kind === 'number') this.handles[name] = new ProgramValue(assembler, word, 0);
      else if (kind === 'data') this.handles[name] = new ProgramData(assembler, word, number!);
      else if (kind === 'texts') this.handles[name] = new ProgramTexts(word, number!);
      else throw invalidArgValue(`inputs.${name}`, "must be 'text', 'texts', 'number' or 'data'", kind);
      this.#inputs.push({ name, kind, word, count });
    }
  }

  /** Checks the inputs of a run. @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
  check(given: unknown): Encoded {
    if (!isObject(given) && (this.#inputs.length > 0 || (typeof given === 'object' && given !== null)))
      throw invalidArgType('inputs', 'of type object', given);
    const object = (given ?? {}) as Record<string, unknown>;
    for (const name of Object.keys(object)) {
      if (!Object.hasOwn(this.handles, name))
        throw invalidArgValue(`inputs.${name}`, 'is no input of this program', object[name]);
    }
    let patches = 0;
    let areas = 0;
    let payload = 0;
    const values = this.#inputs.map(({ name, kind }) => {
      const label = `inputs.${name}`;
      const value = object[name];
      patches++;
      if (kind === 'number') return checkValue(value, label);
      areas++;
      if (kind === 'text') payload += textLength(value, label);
      else if (kind === 'data') {
        if (!ArrayBuffer.isView(value)) throw invalidArgType(label, 'an ArrayBufferView', value);
        patches++;
        payload += aligned(value.byteLength);
      } else {
        if (!isArray(value)) throw invalidArgType(label, 'an instance of Array', value);
        patches += 1 + value.length;
        payload += value.length * 8;
        value.forEach((text, i) => {
          payload += textLength(text, `${label}[${i}]`);
        });
        return [...value];
      }
      return value;
    });
    if (payload > kMaxPayload) throw invalidArgValue('inputs', 'must not be larger than 1 GiB', given);
    const bytes =
      RunRecord.sizeInBytes + patches * ProgramPatch.sizeInBytes + areas * ProgramArea.sizeInBytes + payload;
    return { values, patches, areas, payload, bytes };
  }

  /** Writes the record of a run at `start`: the header without slot and facts, the patches, the areas and the payload. */
  encode(into: Scratch, start: number, { values, patches, areas, payload, bytes }: Encoded, imageBytes: number): void {
    const { words, wide } = into;
    const header = start >> 2;
    words[header + RunRecord.bytes] = bytes;
    words[header + RunRecord.patches] = patches;
    words[header + RunRecord.areas] = areas;
    words[header + RunRecord.payload] = payload;
    // In bytes, all multiples of 8.
    let patchAt = start + RunRecord.sizeInBytes;
    let areaAt = patchAt + patches * ProgramPatch.sizeInBytes;
    const payloadAt = areaAt + areas * ProgramArea.sizeInBytes;
    let used = 0;
    const patch = (offset: number, isOffset: number, value: bigint): void => {
      words[(patchAt >> 2) + ProgramPatch.offset] = offset;
      words[(patchAt >> 2) + ProgramPatch.isOffset] = isOffset;
      wide[(patchAt >> 3) + ProgramPatch.value] = BigInt.asUintN(64, value);
      patchAt += ProgramPatch.sizeInBytes;
    };
    const area = (length: number): void => {
      words[(areaAt >> 2) + ProgramArea.offset] = imageBytes + used;
      words[(areaAt >> 2) + ProgramArea.length] = length;
      areaAt += ProgramArea.sizeInBytes;
    };
    const place = (length: number): Buffer => {
      const at = payloadAt + used;
      used += aligned(length);
      return Buffer.from(into.buffer, at, length);
    };
    const putText = (text: string | Uint8Array): void => {
      const length = typeof text === 'string' ? Buffer.byteLength(text) : text.length;
      const room = place(length + 1);
      if (typeof text === 'string') room.write(text, 0, length, 'utf8');
      else room.set(text);
      room[length] = 0;
    };
    this.#inputs.forEach(({ kind, word, count }, i) => {
      const value = values[i];
      if (kind === 'number') {
        patch(word.offset, 0, value as bigint);
        return;
      }
      patch(word.offset, 1, BigInt(imageBytes + used));
      if (kind === 'text') {
        const text = value as string | Uint8Array;
        area((typeof text === 'string' ? Buffer.byteLength(text) : text.length) + 1);
        putText(text);
      } else if (kind === 'data') {
        const data = value as ArrayBufferView;
        patch(count!.offset, 0, BigInt(data.byteLength));
        area(data.byteLength);
        place(data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      } else {
        const texts = value as (string | Uint8Array)[];
        patch(count!.offset, 0, BigInt(texts.length));
        const whole = areaAt;
        const first = used;
        area(0);
        const table = imageBytes + used;
        place(texts.length * 8);
        texts.forEach((text, n) => {
          patch(table + n * 8, 1, BigInt(imageBytes + used));
          putText(text);
        });
        words[(whole >> 2) + ProgramArea.length] = used - first;
      }
    });
  }

  /** The text of an input, for an error's path. */
  textOf(word: Word, { values }: Encoded): string | undefined {
    const index = this.#inputs.findIndex((input) => input.word === word);
    const value = values[index];
    return typeof value === 'string' ? value : types.isUint8Array(value) ? Buffer.from(value).toString() : undefined;
  }
}
