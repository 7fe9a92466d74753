// Descriptors that a call brings after its promise was rejected are closed, whenever the abort comes.
import * as fs from 'node:fs';
import { Arena, constants, syscall } from 'acall';
import { describe, expect, it } from 'vitest';
import { descriptors, nextTurn, quiet } from '../support/quiet';

describe('descriptors that an aborted call was given', () => {
  const kinds: Record<string, () => Parameters<typeof syscall>> = {
    openat: () => ['openat', [constants.AT_FDCWD, '/dev/null', 0]],
    pipe2: () => ['pipe2', [Buffer.alloc(8), 0]],
    socketpair: () => ['socketpair', [constants.AF_UNIX, constants.SOCK_STREAM, 0, Buffer.alloc(8)]],
    dup: () => ['dup', [0]],
    'fcntl F_DUPFD': () => ['fcntl', [0, constants.F_DUPFD, 0]],
    eventfd2: () => ['eventfd2', [0, 0]],
  };

  it.each(Object.entries(kinds))('%s: closed, whenever the abort comes', async (_, arguments_) => {
    await quiet();
    const before = descriptors();
    let resolved = 0;
    for (let round = 0; round < 400; round++) {
      const controller = new AbortController();
      const [name, args] = arguments_();
      const promise = syscall(name as 'openat', args as never, {
        signal: controller.signal,
        thread: round % 8 === 7 ? 'own' : 'pool',
      });
      // Before the op is submitted, on its way, in the kernel, in the ring, after its turn.
      if (round % 4 === 1) queueMicrotask(() => controller.abort());
      else if (round % 4 === 2) setImmediate(() => controller.abort());
      else {
        await null;
        await null;
        for (let spins = (round * 37) % 2000; spins > 0; spins--);
        controller.abort();
      }
      try {
        const result = await promise;
        resolved++;
        const pair = (args as unknown[]).find((arg) => Buffer.isBuffer(arg)) as Buffer | undefined;
        if (pair === undefined) fs.closeSync(result);
        else for (const at of [0, 4]) fs.closeSync(pair.readInt32LE(at));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ABORT_ERR' });
      }
    }
    await quiet();
    await nextTurn();
    await quiet();
    expect(descriptors()).toBe(before);
    expect(resolved).toBeLessThan(400);
  });

  it('recvmsg: those that came with the message', async () => {
    const pair = Buffer.alloc(8);
    await syscall('socketpair', [constants.AF_UNIX, constants.SOCK_DGRAM, 0, pair]);
    const [from, to] = [pair.readInt32LE(0), pair.readInt32LE(4)];
    const arena = new Arena();
    const makeMessage = (fds: number[]) => {
      const data = arena.alloc(16);
      const vector = arena.alloc(16);
      const control = arena.alloc(16 + 4 * fds.length);
      new DataView(vector.buffer, vector.byteOffset).setBigUint64(0, arena.address + BigInt(data.byteOffset), true);
      new DataView(vector.buffer, vector.byteOffset).setBigUint64(8, 16n, true);
      const words = new DataView(control.buffer, control.byteOffset);
      words.setBigUint64(0, BigInt(control.byteLength), true);
      words.setInt32(8, 1, true); // SOL_SOCKET
      words.setInt32(12, 1, true); // SCM_RIGHTS
      for (const [i, fd] of fds.entries()) words.setInt32(16 + 4 * i, fd, true);
      const header = Buffer.alloc(56);
      header.writeBigUInt64LE(arena.address + BigInt(vector.byteOffset), 16);
      header.writeBigUInt64LE(1n, 24);
      header.writeBigUInt64LE(arena.address + BigInt(control.byteOffset), 32);
      header.writeBigUInt64LE(BigInt(control.byteLength), 40);
      return {
        header,
        words,
        free: () => {
          for (const part of [data, vector, control]) arena.free(part);
        },
      };
    };
    await quiet();
    const before = descriptors();
    for (let round = 0; round < 300; round++) {
      const sent = makeMessage([0, 1]);
      const received = makeMessage([-1, -1]);
      await syscall('sendmsg', [from, sent.header, 0]);
      const controller = new AbortController();
      const promise = syscall('recvmsg', [to, received.header, 0], { signal: controller.signal });
      await null;
      await null;
      for (let spins = (round * 137) % 4000; spins > 0; spins--);
      if (round % 3 === 0) controller.abort();
      else setImmediate(() => controller.abort());
      try {
        await promise;
        for (const at of [16, 20]) fs.closeSync(received.words.getInt32(at, true));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ABORT_ERR' });
        // Where it never ran the message is still there; the kernel closes what is not asked for.
        await syscall('recvfrom', [to, Buffer.alloc(16), 16, constants.MSG_DONTWAIT, null, null]).catch(() => {});
      }
      await quiet();
      sent.free();
      received.free();
    }
    await nextTurn();
    await quiet();
    expect(descriptors()).toBe(before);
    fs.closeSync(from);
    fs.closeSync(to);
  });
});
