/* One reading of readFiles(): packs of whole files as they come; each file is given to a function. */
import { Steps } from '../../call/steps';
import { SyscallError } from '../../errors';
import { Errno, FileCall, ReadHeader, ReadRecord, Wire } from '../../generated/wire';
import { native, type ReadFilesHandle, type Slot } from '../../native';
import type { CommonOptions } from '../../promise/options';
import { PathFeeder } from '../path-feeder';
import { type PathLike, pathArgument, shownPath } from '../paths';
import { type Pulled, PullReader } from '../pull-reader';
import { fileCallNames } from './file-op';

const kEnoughAhead = 8192; // paths in the job that no thread has begun to read: an iterable is read as its paths are needed

/** The paths of one reading, and how the files are wanted. */
export interface Wanted {
  readonly paths: Iterable<PathLike>;
  readonly flags: number;
  readonly encoding: BufferEncoding | undefined;
  readonly common: CommonOptions | undefined;
}

/** Takes one file. */
type Sink<Data> = (index: number, path: PathLike, value: Data | SyscallError) => void;

/** One reading of all files. When next() resolves, the files of that part have been given to `sink`. */
export class FilesReader<Data extends string | Buffer> extends PullReader<true, ReadFilesHandle> {
  readonly #feeder: PathFeeder;
  readonly #flags: number;
  readonly #encoding: BufferEncoding | undefined;
  readonly #sink: Sink<Data>;
  #isFed = false; // the job has all paths
  readonly #words = new Uint32Array(ReadHeader.sizeInWords + Wire.maxReadRecords * ReadRecord.sizeInWords);

  constructor({ paths, flags, encoding, common }: Wanted, sink: Sink<Data>) {
    super(new Steps(common, 'open'));
    this.#feeder = new PathFeeder(paths);
    this.#flags = flags;
    this.#encoding = encoding;
    this.#sink = sink;
  }

  protected override begin(): ReadFilesHandle | null {
    return native.readFilesMake(this.#flags);
  }

  protected override wait(job: ReadFilesHandle, slot: Slot, option: number): number {
    return native.readFilesWait(job, slot, option);
  }

  protected override take(job: ReadFilesHandle): Pulled<true> {
    const words = this.#words;
    const bytes = native.readFilesTake(job, words);
    if (!this.#isFed) this.#feed(job, kEnoughAhead - words[ReadHeader.unclaimed]!);
    const count = words[ReadHeader.count]!;
    if (count === 0)
      return { part: undefined, ended: words[ReadHeader.ended] !== 0, result: words[ReadHeader.result]! | 0 };
    this.#give(bytes, count);
    return { part: true, ended: false, result: 0 };
  }

  #feed(job: ReadFilesHandle, wanted: number): void {
    const status = this.#feeder.feed((joined, count) => native.readFilesAdd(job, joined, count), wanted);
    if (status !== 0 && status !== -Errno.ECANCELED)
      throw new SyscallError(status === -Errno.EAGAIN ? -Errno.ENOMEM : status, 'read');
    if (!this.#feeder.done) return;
    this.#isFed = true;
    native.readFilesFinish(job);
  }

  protected override failure(result: number): Error {
    return new SyscallError(result, 'read');
  }

  override close(): void {
    super.close();
    this.#feeder.close();
  }

  #give(bytes: ArrayBuffer | null, count: number): void {
    const words = this.#words;
    const encoding = this.#encoding;
    const whole = encoding === undefined || bytes === null ? undefined : Buffer.from(bytes);
    for (let i = 0, at = ReadHeader.sizeInWords as number; i < count; i++, at += ReadRecord.sizeInWords) {
      const index = words[at + ReadRecord.index]!;
      const status = words[at + ReadRecord.status]! | 0;
      const path = this.#feeder.take(index);
      let value: Buffer | string | SyscallError;
      if (status > 0) {
        const offset = words[at + ReadRecord.offset]!;
        value =
          encoding === undefined
            ? Buffer.from(bytes!, offset, status)
            : whole!.toString(encoding, offset, offset + status);
      } else if (status === 0) {
        value = encoding === undefined ? Buffer.alloc(0) : '';
      } else {
        value = errorOf(status, words[at + ReadRecord.call]!, path);
      }
      this.#sink(index, path, value as Data | SyscallError);
    }
  }
}

function errorOf(errno: number, call: FileCall, path: PathLike): SyscallError {
  const name = fileCallNames[call];
  if (call !== FileCall.open && errno !== -Errno.EFBIG) return new SyscallError(errno, name);
  return new SyscallError(errno, name, { path: shownPath(pathArgument(path)) });
}
