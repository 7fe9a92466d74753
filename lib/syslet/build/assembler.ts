/* From words, regions and atoms to the bytes of a program's image: every run of it is a copy with other inputs. */
import { rangeError } from '../../errors';
import {
  sysletUatomLayout as layout,
  SYSLET_NR_COMPARE,
  SYSLET_NR_UMEM_ADD,
  SYSLET_SKIP_TO_NEXT_ON_STOP,
  sysletReportLayout,
} from '../../generated/layout';
import { ProgramArea, ProgramHeader } from '../../generated/wire';

const kMaxImage = 0x7fffffff;

/** Offset of the first word: behind the report. Words that a run's result needs come first. */
export const kFirstWord = align(sysletReportLayout.size, 16);

export function align(bytes: number, to: number): number {
  return Math.ceil(bytes / to) * to;
}

/** Bytes of the image: constant, or memory of a run. */
export class Region {
  readonly length: number;
  readonly content: Uint8Array | undefined;
  /** Each run starts with zeros there. */
  isCleared = false;
  offset = -1; // until link()

  constructor(length: number, content?: Uint8Array) {
    this.length = length;
    this.content = content;
  }
}

/** The address of a region's byte, or of a word. */
interface Pointer {
  readonly to: Region | Word;
  readonly plus: number;
}

/** Eight bytes that atoms read and write. */
export class Word {
  readonly initial: bigint | Pointer;
  offset = -1; // until link()

  constructor(initial: bigint | Pointer) {
    this.initial = initial;
  }
}

/** A place between atoms. One at the end of its section is the end of the section. */
export class Label {
  index = -1; // until Section.place()
  section: Section | undefined = undefined;
}

/** What an atom is to people: where a program stopped, and which call failed. */
export interface Step {
  readonly name: string;
  readonly syscall: string;
  /** The call's path: a constant, or the pointer word of an input. */
  readonly path?: string | Word | undefined;
}

export interface Atom {
  readonly nr: number;
  readonly flags: number;
  readonly args: readonly Word[];
  readonly result: Word | undefined;
  readonly step: Step;
  /** Where it goes on; the following atom by default. */
  readonly next: Label | undefined;
  /** For SYSLET_NR_STOP: the atom that is to blame. */
  readonly blame: Atom | undefined;
}

/** Atoms in the order of memory. */
export class Section {
  readonly atoms: Atom[] = [];

  place(label: Label): void {
    label.index = this.atoms.length;
    label.section = this;
  }
}

/** What programMake() takes, and how to read a report. */
export interface Linked {
  readonly image: Uint8Array;
  readonly header: Uint32Array;
  readonly relocations: Uint32Array;
  readonly areas: Uint32Array;
  readonly handed: Uint32Array;
  readonly resultBytes: number;
  /** Of the image and the room behind it. */
  readonly bytes: number;
  stepAt(offset: number): Step;
}

const kNoStep: Step = { name: 'program', syscall: 'program' };

export class Assembler {
  readonly main = new Section();
  readonly cleanup = new Section();
  readonly #words: Word[] = [];
  readonly #regions: Region[] = [];
  readonly #constants = new Map<bigint, Word>();
  readonly #pointers = new Map<Region | Word, Map<number, Word>>();
  readonly #texts = new Map<string, Region>();

  word(initial: bigint | Pointer): Word {
    const word = new Word(initial);
    this.#words.push(word);
    return word;
  }

  /** A word that nobody writes. */
  constant(value: bigint): Word {
    const bits = BigInt.asUintN(64, value);
    let word = this.#constants.get(bits);
    if (!word) this.#constants.set(bits, (word = this.word(bits)));
    return word;
  }

  /** A word that nobody writes: an address. */
  pointer(to: Region | Word, plus = 0): Word {
    let offsets = this.#pointers.get(to);
    if (!offsets) this.#pointers.set(to, (offsets = new Map()));
    let word = offsets.get(plus);
    if (!word) offsets.set(plus, (word = this.word({ to, plus })));
    return word;
  }

  region(length: number, content?: Uint8Array): Region {
    const region = new Region(length, content);
    this.#regions.push(region);
    return region;
  }

  /** NUL-terminated. */
  text(text: string): Region {
    let region = this.#texts.get(text);
    if (!region) {
      const bytes = Buffer.from(`${text}\0`);
      this.#texts.set(text, (region = this.region(bytes.length, bytes)));
    }
    return region;
  }

  /**
   * Lays everything out.
   *
   * @param results words that are copied out after a run
   * @param handed words whose descriptors are the caller's after a run that was done
   */
  link(results: readonly Word[], handed: readonly Word[], maxSteps: number): Linked {
    for (const section of [this.main, this.cleanup]) this.#close(section);
    const first = new Set(results);
    const words = [...first, ...this.#words.filter((word) => !first.has(word))];
    words.forEach((word, i) => {
      word.offset = kFirstWord + i * 8;
    });
    const code = align(kFirstWord + words.length * 8, 16);
    const atoms = [...this.main.atoms, ...this.cleanup.atoms];
    const cleanupAt = this.cleanup.atoms.length > 0 ? code + this.main.atoms.length * layout.size : 0;
    let size = align(code + atoms.length * layout.size, 16);
    const lay = (regions: Region[]): void => {
      for (const region of regions) {
        region.offset = size;
        size = align(size + region.length, 16);
      }
    };
    const isCopied = (region: Region): boolean => region.content !== undefined || region.isCleared;
    lay(this.#regions.filter((region) => isCopied(region)));
    const copied = size; // what is behind it is room, left as it is found
    lay(this.#regions.filter((region) => !isCopied(region)));
    if (size > kMaxImage) throw rangeError('The program is larger than 2 GiB');

    const image = new Uint8Array(copied);
    const view = new DataView(image.buffer);
    const relocations: number[] = [];
    const address = (at: number, target: number): void => {
      view.setBigUint64(at, BigInt(target), true);
      relocations.push(at);
    };
    for (const { offset, initial } of words) {
      if (typeof initial === 'bigint') view.setBigUint64(offset, BigInt.asUintN(64, initial), true);
      else address(offset, initial.to.offset + initial.plus);
    }
    for (const { offset, content } of this.#regions) if (content) image.set(content, offset);
    const offsets = new Map(atoms.map((atom, i) => [atom, code + i * layout.size]));
    for (const section of [this.main, this.cleanup]) {
      section.atoms.forEach((atom, i) => {
        const at = offsets.get(atom)!;
        view.setUint32(at + layout.flags, atom.flags, true);
        view.setUint32(at + layout.nr, atom.nr, true);
        if (atom.result) address(at + layout.ret_ptr, atom.result.offset);
        const next = section.atoms[atom.next ? atom.next.index : i + 1];
        if (next) address(at + layout.next, offsets.get(next)!);
        atom.args.forEach((word, n) => {
          address(at + layout.arg_ptr + n * 8, word.offset);
        });
        if (atom.blame) address(at + layout.private_data, offsets.get(atom.blame)!);
      });
    }
    const areas = [
      { offset: kFirstWord, length: words.length * 8 },
      ...this.#regions.filter(({ length }) => length > 0),
    ];
    const header = new Uint32Array(ProgramHeader.sizeInWords);
    header[ProgramHeader.code + ProgramArea.offset] = code;
    header[ProgramHeader.code + ProgramArea.length] = atoms.length * layout.size;
    header[ProgramHeader.entry] = code;
    header[ProgramHeader.cleanup] = cleanupAt;
    header[ProgramHeader.maxSteps] = maxSteps;
    header[ProgramHeader.size] = size;
    return {
      image,
      header,
      relocations: Uint32Array.from(relocations),
      areas: areaWords(areas),
      handed: Uint32Array.from(handed, (word) => word.offset),
      resultBytes: kFirstWord + first.size * 8,
      bytes: size,
      stepAt: (offset) => atoms[(offset - code) / layout.size]?.step ?? kNoStep,
    };
  }

  /* A section never runs into the atoms behind it, and the main one is never empty. */
  #close(section: Section): void {
    const last = section.atoms.at(-1);
    if (section === this.cleanup && !last) return;
    if (last && (last.flags & SYSLET_SKIP_TO_NEXT_ON_STOP) === 0) return;
    section.atoms.push(nothing(this.constant(0n), undefined));
  }
}

function areaWords(areas: readonly { readonly offset: number; readonly length: number }[]): Uint32Array {
  const words = new Uint32Array(areas.length * ProgramArea.sizeInWords);
  areas.forEach(({ offset, length }, i) => {
    words[i * ProgramArea.sizeInWords + ProgramArea.offset] = offset;
    words[i * ProgramArea.sizeInWords + ProgramArea.length] = length;
  });
  return words;
}

/** An atom that does nothing and goes on at `next`. */
export function nothing(zero: Word, next: Label | undefined): Atom {
  return {
    nr: SYSLET_NR_COMPARE,
    flags: 0,
    args: [zero, zero],
    result: undefined,
    step: kNoStep,
    next,
    blame: undefined,
  };
}

/** Adds 0: its result is the word's value. `at` points to the word. */
export function look(at: Word, zero: Word): { nr: number; args: Word[] } {
  return { nr: SYSLET_NR_UMEM_ADD, args: [at, zero] };
}
