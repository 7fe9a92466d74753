/* The clean-up of a program, however a run ends: deferred steps run, and the descriptors that the program owns are closed. */
import { invalidArgType, invalidArgValue } from '../../errors';
import { SYSLET_NR_CLOSE, SYSLET_NR_SET, SYSLET_NR_SPLIT, SYSLET_STOP_ON_NEGATIVE } from '../../generated/layout';
import { Label, type Word } from './assembler';
import type { Emitter } from './emitter';

/** The steps of one finally() or undo(). */
interface Deferred {
  /** 1 once a run has come to the place where the steps were deferred. */
  readonly armed: Word;
  readonly body: () => void;
  readonly onlyUndone: boolean;
}

/** Collects deferred steps and owned descriptors, and adds the clean-up at the end of the build. */
export class Cleanup {
  readonly #emitter: Emitter;
  readonly #descriptors: Word[] = [];
  readonly #splits: (readonly Word[])[] = [];
  readonly #deferred: Deferred[] = [];
  readonly #done: Word;
  /** Behind the last step: a run that gets there is done. */
  readonly end = new Label();

  constructor(emitter: Emitter) {
    this.#emitter = emitter;
    this.#done = emitter.assembler.word(0n);
  }

  /** Adds words whose descriptors are closed at the end. */
  own(...words: Word[]): void {
    this.#descriptors.push(...words);
  }

  /** Adds a pair of descriptors: a cancelled run may have made it and not yet split it into its two words. */
  split(words: readonly Word[]): void {
    this.#splits.push(words);
  }

  /** Adds steps for the end of a run that has come here. `onlyUndone`: only if the run was not done. */
  defer(body: () => void, onlyUndone: boolean): void {
    const emitter = this.#emitter;
    const { assembler } = emitter;
    if (typeof body !== 'function') throw invalidArgType('body', 'of type function', body);
    if (emitter.section !== assembler.main) {
      throw invalidArgValue('body', 'cannot be deferred inside a clean-up', body);
    }
    const armed = assembler.word(0n);
    emitter.emit(SYSLET_NR_SET, [assembler.pointer(armed), assembler.constant(1n)]);
    this.#deferred.push({ armed, body, onlyUndone });
  }

  /** Emits the clean-up. `handed`: the descriptors that belong to the caller after a run that was done. */
  finish(handed: ReadonlySet<Word>): void {
    const emitter = this.#emitter;
    const { assembler } = emitter;
    emitter.section.place(this.end);
    if (this.#deferred.some(({ onlyUndone }) => onlyUndone)) {
      emitter.emit(SYSLET_NR_SET, [assembler.pointer(this.#done), assembler.constant(1n)]);
    }
    emitter.section = assembler.cleanup;
    emitter.depth = 1;
    for (const split of this.#splits) emitter.emit(SYSLET_NR_SPLIT, split);
    for (const { armed, body, onlyUndone } of this.#deferred.splice(0).reverse()) {
      const skip = new Label();
      emitter.test(emitter.value(armed).isNonZero(), skip);
      if (onlyUndone) emitter.test(emitter.value(this.#done).isZero(), skip);
      body();
      emitter.section.place(skip);
    }
    for (const word of this.#descriptors.reverse()) {
      if (handed.has(word)) continue;
      const step = { name: 'close', syscall: 'close' };
      emitter.emit(SYSLET_NR_CLOSE, [assembler.pointer(word)], step, SYSLET_STOP_ON_NEGATIVE);
    }
    emitter.isOver = true;
  }
}
