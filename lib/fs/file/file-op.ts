/* One op for each whole file: the requests of readFile, writeFile, copyFile and mkdirp, and their errors. */

import { fileTooLarge, SyscallError } from '../../errors';
import {
  Errno,
  FileCall,
  FileKind,
  JobOption,
  FileFacts as WireFacts,
  FileRequest as WireRequest,
} from '../../generated/wire';
import { kNoHandle, native, type OpenHandle, type Slot } from '../../native';
import { engine } from '../../promise/engine';
import { isError, Op, Phase, timeoutError } from '../../promise/op';
import type { CommonOptions } from '../../promise/options';
import { kNodeMajor } from '../node-like';
import { shownPath } from '../paths';

/** The names that node:fs gives these calls in errors. */
export const fileCallNames: Readonly<Record<FileCall, string>> = {
  [FileCall.open]: 'open',
  [FileCall.stat]: 'fstat',
  [FileCall.read]: 'read',
  [FileCall.tooLarge]: 'read',
  [FileCall.write]: 'write',
  [FileCall.sync]: 'fsync',
  [FileCall.rename]: 'rename',
  [FileCall.close]: 'close',
  [FileCall.copy]: 'copyfile',
  [FileCall.makeDirectory]: 'mkdir',
  [FileCall.link]: 'link',
};
const kReadsNamePath = kNodeMajor >= 26; // a read that fails names the path it was for

/** One file and what to do with it. */
export interface FileRequest {
  readonly kind: FileKind;
  /** A descriptor instead of a path; it stays open. */
  readonly fd?: number | undefined;
  /** The handle of the descriptor in the core; none by default. */
  readonly handle?: OpenHandle | undefined;
  readonly path?: string | Uint8Array | undefined;
  readonly other?: string | Uint8Array | undefined;
  /** Text is written as UTF-8. The data is copied when the op is submitted. */
  readonly data?: string | ArrayBufferView | undefined;
  /** Flags of open(2). */
  readonly flags?: number | undefined;
  readonly mode?: number | undefined;
  /** Wire.fileSync, Wire.fileAtomic, COPYFILE_*. */
  readonly options?: number | undefined;
}

/** The outcome: the last call, a number whose meaning depends on the kind, and whether restrict() refused the call. */
export interface FileFacts {
  readonly call: FileCall;
  readonly number: number;
  readonly refused: boolean;
}

const asked = new Int32Array(WireRequest.sizeInWords);
const facts = new Uint32Array(WireFacts.sizeInWords);

/* One request. */
class FileOp<T> extends Op {
  readonly #request: FileRequest;
  readonly #take: (slot: Slot, result: number, facts: () => FileFacts) => T;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: Error) => void;

  constructor(
    request: FileRequest,
    take: (slot: Slot, result: number, facts: () => FileFacts) => T,
    resolve: (value: T) => void,
    reject: (error: Error) => void,
  ) {
    super();
    this.#request = request;
    this.#take = take;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override goesAlone(): boolean {
    return true;
  }

  override submit(): boolean {
    const { kind, fd = -1, path = null, other = null, data = null, flags = 0, mode = 0, options = 0 } = this.#request;
    asked[WireRequest.fd] = fd;
    asked[WireRequest.flags] = flags;
    asked[WireRequest.mode] = mode;
    asked[WireRequest.options] = options;
    asked[WireRequest.facts] = this.referenced ? 0 : JobOption.unreferenced;
    asked[WireRequest.handle] = this.#request.handle ?? kNoHandle;
    if (native.fileSubmit(kind, this.slot, path, other, data, asked) === 0) return false;
    this.phase = Phase.submitted;
    return true;
  }

  readonly #facts = (): FileFacts => {
    native.fileFacts(this.slot, facts);
    return {
      call: facts[WireFacts.call]!,
      number: facts[WireFacts.low]! + facts[WireFacts.high]! * 2 ** 32,
      refused: facts[WireFacts.refused] !== 0,
    };
  };

  override complete(low: number, high: number): void {
    let value: T | undefined;
    let error: Error | undefined;
    try {
      if (isError(low, high)) error = this.#error(low | 0, this.#facts());
      else value = this.#take(this.slot, low, this.#facts);
    } catch (thrown) {
      error = thrown as Error; // for instance of a text that is longer than a string may be
    }
    native.release(this.slot);
    if (error !== undefined) this.#reject(error);
    else this.#resolve(value as T);
  }

  /* The error has a path where that of node:fs has one. */
  #error(errno: number, { call, number, refused: byPolicy }: FileFacts): Error {
    const { kind, path, other } = this.#request;
    const name = fileCallNames[call];
    const refused = byPolicy && errno === -Errno.EPERM;
    if (call === FileCall.tooLarge) return fileTooLarge(number);
    if (path === undefined) return new SyscallError(errno, name, { refused });
    const shown = shownPath(path);
    if (call === FileCall.open || call === FileCall.rename || (kind === FileKind.read && kReadsNamePath)) {
      return new SyscallError(errno, name, { path: shown, refused });
    }
    if (call === FileCall.copy) return new SyscallError(errno, name, { path: shown, dest: shownPath(other!), refused });
    if (call === FileCall.makeDirectory) {
      const bytes = typeof path === 'string' ? Buffer.from(path) : path;
      return new SyscallError(errno, name, { path: shownPath(bytes.subarray(0, number)), refused });
    }
    return new SyscallError(errno, name, { refused });
  }

  override reject(error: Error): void {
    this.#reject(error);
  }

  override dispose(): void {
    native.release(this.slot);
  }

  override timedOut(): Error {
    const { kind, path } = this.#request;
    const first = { [FileKind.copy]: 'copyfile', [FileKind.makeDirectories]: 'mkdir' } as Record<number, string>;
    return timeoutError(first[kind] ?? 'open', path === undefined ? undefined : shownPath(path));
  }
}

/** Starts one request. `take` makes the value of the promise, while the op's memory is still there. */
export function fileOp<T>(
  request: FileRequest,
  options: CommonOptions | undefined,
  take: (slot: Slot, result: number, facts: () => FileFacts) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const op = new FileOp(request, take, resolve, reject);
    if (options === undefined || engine.watch(op, options)) engine.start(op);
  });
}
