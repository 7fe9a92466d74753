/* Loads the addon. No other file knows where the addon lies; all others call the typed functions below. */
import process from 'node:process';
import type { TreeCall } from './generated/wire';

/** The counters of the core, which `counters()` returns together with those of the promise layer. */
export interface NativeCounters {
  /** Ops accepted since the process began. */
  submitted: number;
  /** Ops completed since the process began. */
  completed: number;
  /** Ops that a cancel has found queued or running, since the process began. */
  cancelled: number;
  /** Ops that wait for a thread now. */
  queued: number;
  /** Ops that are inside a pool thread or an own thread now. */
  running: number;
  /** Threads of acall that exist now: `poolThreads`, `ownThreads` and the supervisor. */
  threads: number;
  /** Pool threads that exist now. */
  poolThreads: number;
  /** Own threads that exist now. */
  ownThreads: number;
  /** Pool threads that are asleep inside one call now. */
  blocked: number;
  /** Completions that found no free slot in their ring, since the process began. */
  overflows: number;
  /** Ops that ran inline since the process began. */
  inlineHits: number;
  /** Ops that were tried inline and went to a thread, since the process began. */
  inlineMisses: number;
  /** The limit that has kept queued ops waiting for a second and still does, or null. */
  limitedBy: string | null;
}

declare const kind: unique symbol;

/** A native object: JavaScript keeps it and passes it back to the addon. Its kind is the name of its type in C++. */
type Handle<Kind extends string> = object & { readonly [kind]: Kind };

export type RingHandle = Handle<'Ring'>;
export type ArenaHandle = Handle<'Arena'>;
export type ProgramHandle = Handle<'ProgramImage'>;
export type StatBatchHandle = Handle<'StatBatch'>;
export type WalkHandle = Handle<'Walk'>;
export type DuHandle = Handle<'Du'>;
export type RemoveTreeHandle = Handle<'RemoveTree'>;
export type ReadFilesHandle = Handle<'ReadFiles'>;
export type JobHandle = StatBatchHandle | WalkHandle | DuHandle | RemoveTreeHandle | ReadFilesHandle;

/** A number by which the addon finds something. */
type Numbered<Kind extends string> = number & { readonly [kind]: Kind };

/** A slot of the promise layer. */
export type Slot = Numbered<'Slot'>;
/** The core's record of an open file: native/core/op/handle.h. */
export type OpenHandle = Numbered<'OpenHandle'>;
/** In the place of a record: the descriptor belongs to no FileHandle. */
export const kNoHandle = 0 as OpenHandle;

/** The functions of the addon, which native/binding defines. Callers have checked all arguments. */
export interface Native {
  open(onTurn: (limit?: string) => void): void;
  counters(): NativeCounters;
  now(): number;
  /** The values of native/core/wire.h as the addon was built with them. */
  wire(): number[];

  submit(bytes: ArrayBufferView, nr: number): number;
  submitError(): number;
  compPwait(ids: ArrayBufferView, nr: number, seconds: number, nanoseconds: number, mask: Uint8Array | null): number;
  ringPwait(
    ring: RingHandle,
    tail: number,
    min: number,
    seconds: number,
    nanoseconds: number,
    mask: Uint8Array | null,
    forPrograms: boolean,
  ): number;
  cancel(id: ArrayBufferView): number;
  execProgram(atom: bigint, ring: bigint, id: bigint): bigint | number | null;

  arenaRegister(buffer: SharedArrayBuffer, whole: Uint8Array, fresh: boolean): ArenaHandle;
  arenaTake(arena: ArenaHandle, byteLength: number, align: number): number;
  arenaGiveBack(arena: ArenaHandle, offset: number): boolean;
  addressOf(view: ArrayBufferView): bigint;
  ringOpen(address: bigint, fresh: boolean): RingHandle;
  ringDrain(ring: RingHandle, into: ArrayBufferView, max: number): number;
  ringReturn(ring: RingHandle, from: ArrayBufferView, first: number, count: number): void;
  ringAvailable(ring: RingHandle): number;
  ringOverflows(ring: RingHandle): number;
  ringWatch(ring: RingHandle, min: number): void;
  ringReference(ring: RingHandle, referenced: boolean): void;
  holdLoop(add: boolean): void;

  growSlots(): ArrayBuffer | null;
  submitStats(paths: string | Uint8Array, count: number, slots: Uint32Array, flags: number, characters: number): number;
  submitFstat(fd: number, slot: Slot, flags: number, handle: OpenHandle): number;
  inlineStat(path: string | Uint8Array, place: number): number;
  inlineFstat(fd: number, place: number): number;
  submitCalls(records: Uint8Array, bytes: number, inlineCalls: number): number;
  submitCall(record: Uint8Array, ...views: ArrayBufferView[]): void;
  drain(into: Uint32Array, max: number): number;
  copyOut(slot: Slot, offset: number, into: ArrayBufferView, length: number): void;
  release(slot: Slot): void;
  abandonSlots(slots: Uint32Array, count: number): void;
  leaveSlots(slots: Uint32Array, count: number): void;
  endTurn(): void;
  hasSignal(): boolean;
  settleSlot(slot: Slot, unwanted: boolean, low: number, high: number): void;
  takeHandle(): OpenHandle;
  handleClose(handle: OpenHandle, slot: Slot): number;
  handleDetach(handle: OpenHandle): number;
  restrict(numbers: Uint32Array): void;
  mayRun(numbers: Uint32Array): boolean;

  programMake(
    image: Uint8Array,
    header: Uint32Array,
    relocations: Uint32Array,
    areas: Uint32Array,
    handed: Uint32Array,
  ): ProgramHandle;
  programSubmit(program: ProgramHandle, records: Uint8Array, bytes: number): void;

  jobCancel(job: JobHandle): void;
  statManyBegin(slot: Slot, count: number, dirfd: number, flags: number): StatBatchHandle | null;
  statManyAdd(job: StatBatchHandle, paths: string | Uint8Array, count: number, characters: number): number;
  statManyTake(job: StatBatchHandle): ArrayBuffer;
  walkBegin(root: string | Uint8Array, flags: number, maxDepth: number): WalkHandle | null;
  walkWait(job: WalkHandle, slot: Slot, flags: number): number;
  walkTake(job: WalkHandle, asBytes: boolean): NativeWalkOutput;
  duBegin(slot: Slot, root: string | Uint8Array, flags: number): DuHandle | null;
  duTotals(job: DuHandle, into: Float64Array): void;
  duErrors(job: DuHandle, asBytes: boolean): NativeTreeError[];
  removeBegin(slot: Slot, root: string | Uint8Array, flags: number): RemoveTreeHandle | null;
  removeErrors(job: RemoveTreeHandle, asBytes: boolean): NativeTreeError[];

  fileSubmit(
    kind: number,
    slot: Slot,
    path: string | Uint8Array | null,
    other: string | Uint8Array | null,
    data: string | ArrayBufferView | null,
    request: Int32Array,
  ): number;
  fileFacts(slot: Slot, into: Uint32Array): void;
  fileCopyContent(slot: Slot, into: Uint8Array, length: number): void;
  fileTakeContent(slot: Slot, length: number): ArrayBuffer;
  readFilesMake(flags: number): ReadFilesHandle | null;
  readFilesAdd(job: ReadFilesHandle, paths: string | Uint8Array, count: number): number;
  readFilesFinish(job: ReadFilesHandle): void;
  readFilesWait(job: ReadFilesHandle, slot: Slot, flags: number): number;
  readFilesTake(job: ReadFilesHandle, into: Uint32Array): ArrayBuffer | null;
}

/** One page of a walk: texts joined by NULs, a type byte for each, then runs (WalkRun). */
export interface NativeWalkPage {
  text: string | ArrayBuffer;
  rows: number;
  facts: ArrayBuffer;
  stats?: ArrayBuffer;
  capacity?: number;
}

/** One entry of a tree that could not be read or removed. */
export interface NativeTreeError {
  path: string | ArrayBuffer;
  errno: number;
  call: TreeCall;
}

/** What a walk has found since the last call. `result` (0 or -errno) means something once `ended` is true. */
interface NativeWalkOutput {
  pages: NativeWalkPage[];
  errors: NativeTreeError[];
  ended: boolean;
  result: number;
}

function load(): Native {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw unavailable(`acall runs on Linux x64 and arm64 only, not on ${process.platform} ${process.arch}`);
  }
  const places = ['../build/Release/acall.node', `../prebuilds/linux-${process.arch}/acall.node`];
  let reason = '';
  for (const place of places) {
    try {
      return (require(place) as { create(): Native }).create();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'MODULE_NOT_FOUND') reason = `: ${message.split('\n', 1)[0]}`;
    }
  }
  throw unavailable(
    reason === ''
      ? `acall has no addon for linux-${process.arch} here: build it with \`npm run build:native\` in a checkout`
      : `acall cannot load its addon for linux-${process.arch}${reason}`,
  );
}

function unavailable(message: string): Error {
  return Object.assign(new Error(message), { code: 'ERR_ACALL_UNAVAILABLE' });
}

/** The addon's client for this instance of the modules of acall: it has slots, results and a turn of its own (docs/several.md). */
export const native: Native = load();
