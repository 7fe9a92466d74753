/* Content that comes in pieces: iterables, async iterables and streams, which fs.promises.writeFile takes. */

import type { Steps } from '../../call/steps';
import { FileKind } from '../../generated/wire';
import type { OpenHandle } from '../../native';
import { fileOp } from './file-op';

/** The data that {@link writeFile} takes: text or bytes as a whole, or pieces of an iterable, an async iterable or a stream. */
export type WriteFileData =
  | string
  | NodeJS.ArrayBufferView
  | Iterable<string | NodeJS.ArrayBufferView>
  | AsyncIterable<string | NodeJS.ArrayBufferView>;

type Chunks = Iterable<unknown> | AsyncIterable<unknown>;

/** @internal Whether the data comes in pieces. */
export function isChunks(data: unknown): data is Chunks {
  if (typeof data !== 'object' || data === null || ArrayBuffer.isView(data)) return false;
  return (
    typeof (data as AsyncIterable<unknown>)[Symbol.asyncIterator] === 'function' ||
    typeof (data as Iterable<unknown>)[Symbol.iterator] === 'function'
  );
}

/* As `for await`, but an abort or a time-out does not wait for the next piece. */
async function each(chunks: Chunks, steps: Steps, take: (chunk: unknown) => Promise<void>): Promise<void> {
  const asynchronous = (chunks as AsyncIterable<unknown>)[Symbol.asyncIterator];
  const source: Iterator<unknown> | AsyncIterator<unknown> =
    asynchronous === undefined ? (chunks as Iterable<unknown>)[Symbol.iterator]() : asynchronous.call(chunks);
  const end = async (): Promise<unknown> => source.return?.();
  for (;;) {
    let chunk: unknown;
    let ended = false;
    const step = (async () => {
      try {
        const { value, done } = await source.next();
        ended = done === true;
        chunk = asynchronous === undefined ? await value : value;
      } catch (error) {
        ended = true;
        throw error;
      }
    })();
    try {
      await steps.until(step);
    } catch (error) {
      step.catch(() => {});
      if (!ended) end().catch(() => {}); // an error of the source after the abort is ignored
      throw error;
    }
    if (ended) return;
    try {
      await take(chunk);
    } catch (error) {
      const ending = end().catch(() => {});
      if (steps.signal?.aborted !== true) await ending;
      throw error;
    }
  }
}

function bytesOf(chunk: unknown, encoding: BufferEncoding): ArrayBufferView {
  return ArrayBuffer.isView(chunk) ? chunk : Buffer.from(chunk as string, encoding);
}

/** @internal Writes the pieces at the current position of the descriptor. */
export function writeChunks(
  fd: number,
  handle: OpenHandle,
  chunks: Chunks,
  encoding: BufferEncoding,
  steps: Steps,
): Promise<void> {
  return each(chunks, steps, async (chunk) => {
    const data = bytesOf(chunk, encoding);
    if (data.byteLength > 0) await fileOp({ kind: FileKind.write, fd, handle, data }, steps.next(), () => {});
  });
}

/** @internal Gathers all pieces in one array of bytes. */
export async function gatherChunks(chunks: Chunks, encoding: BufferEncoding, steps: Steps): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await each(chunks, steps, async (chunk) => {
    const { buffer, byteOffset, byteLength } = bytesOf(chunk, encoding);
    pieces.push(new Uint8Array(buffer, byteOffset, byteLength).slice()); // a source may use its memory again
  });
  return Buffer.concat(pieces);
}
