/*
 * Assembler: makes the bytes of a program's image from words, regions and atoms. Each run is a copy of the image with other
 * inputs.
 */
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

/** Offset of the first word, behind the report. The words that the result of a run needs come first. */
export const kFirstWord = align(sysletReportLayout.size, 16);

/** Rounds up to a multiple of `to`. */
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

/** The address of a byte of a region, or of a word. */
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

/** A place between atoms, to jump to. A label behind the last atom of its section means the end of the section. */
export class Label {
  index = -1; // until Section.place()
  section: Section | undefined = undefined;
}

/** Names of an atom for people: the step where a program stopped, the call that failed. */
export interface Step {
  readonly name: string;
  readonly syscall: string;
  /** The call's path: a constant, or the pointer word of an input. */
  readonly path?: string | Word | undefined;
}

/** One atom before it has an address. */
export interface Atom {
  readonly nr: number;
  readonly flags: number;
  readonly args: readonly Word[];
  readonly result: Word | undefined;
  readonly step: Step;
  /** The label where the program goes on; the following atom by default. */
  readonly next: Label | undefined;
  /** For SYSLET_NR_STOP: the atom that the report names instead. */
  readonly blame: Atom | undefined;
}

/** A sequence of atoms, in the order in which they lie in memory. */
export class Section {
  readonly atoms: Atom[] = [];

  place(label: Label): void {
    label.index = this.atoms.length;
    label.section = this;
  }
}

/** The arguments of the addon's programMake(), and what is needed to read the report of a run. */
export interface Linked {
  readonly image: Uint8Array;
  readonly header: Uint32Array;
  readonly relocations: Uint32Array;
  readonly areas: Uint32Array;
  readonly handed: Uint32Array;
  readonly resultBytes: number;
  /** Size of the image and of the memory behind it. */
  readonly bytes: number;
  stepAt(offset: number): Step;
}

const kNoStep: Step = { name: 'program', syscall: 'program' };

/** Collects the parts of one program, and links them. */
export class Assembler {
  readonly main = new Section();
  readonly cleanup = new Section();
  readonly #words: Word[] = [];
  readonly #regions: Region[] = [];
  readonly #constants = new Map<bigint, Word>();
  readonly #pointers = new Map<Region | Word, Map<number, Word>>();
  readonly #texts = new Map<string, Region>();

  /** A new word with an initial value. */
  word(initial: bigint | Pointer): Word {
    const word = new Word(initial);
    this.#words.push(word);
    return word;
  }

  /** A word that no atom writes; equal constants share one. */
  constant(value: bigint): Word {
    const bits = BigInt.asUintN(64, value);
    let word = this.#constants.get(bits);
    if (!word) this.#constants.set(bits, (word = this.word(bits)));
    return word;
  }

  /** A word with an address that no atom writes; equal addresses share one. */
  pointer(to: Region | Word, plus = 0): Word {
    let offsets = this.#pointers.get(to);
    if (!offsets) this.#pointers.set(to, (offsets = new Map()));
    let word = offsets.get(plus);
    if (!word) offsets.set(plus, (word = this.word({ to, plus })));
    return word;
  }

  /** A new region: constant bytes, or memory of each run. */
  region(length: number, content?: Uint8Array): Region {
    const region = new Region(length, content);
    this.#regions.push(region);
    return region;
  }

  /** A region with a NUL-terminated text; equal texts share one. */
  text(text: string): Region {
    let region = this.#texts.get(text);
    if (!region) {
      const bytes = Buffer.from(`${text}\0`);
      this.#texts.set(text, (region = this.region(bytes.length, bytes)));
    }
    return region;
  }

  /**
   * Gives every word, region and atom its offset, and makes the image.
   *
   * @param results words that are copied out after a run
   * @param handed words whose descriptors belong to the caller after a run that was done
   * @throws ERR_OUT_OF_RANGE for a program of more than 2 GiB
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
    const copied = size; // the memory behind is not initialized
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

  /* Makes sure that a section does not run into the atoms behind it, and that the main section is not empty. */
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

/** An atom that adds 0, so that its result is the word's value. `at` points to the word. */
export function look(at: Word, zero: Word): { nr: number; args: Word[] } {
  return { nr: SYSLET_NR_UMEM_ADD, args: [at, zero] };
}
