import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { counters, flock, open } from 'acall';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { descriptors, until } from '../support/quiet';

const folder = fs.mkdtempSync(join(tmpdir(), 'acall-flock-'));
const file = join(folder, 'lock');
fs.writeFileSync(file, '');
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Whether another process could have the lock now. */
function isFree(kind: '-s' | '-x' = '-x'): boolean {
  return spawnSync('flock', ['-n', kind, file, 'true']).status === 0;
}

beforeEach(() => expect(isFree()).toBe(true));

describe('flock', () => {
  it('locks and unlocks against other processes', async () => {
    await using one = await open(file, 'r');
    await flock(one, 'exclusive');
    expect(isFree('-s')).toBe(false);
    await flock(one, 'shared');
    expect([isFree('-s'), isFree('-x')]).toEqual([true, false]);
    await flock(one.fd, 'unlock');
    expect(isFree()).toBe(true);
  });

  it('waits for others on a thread of the pool, in the order of the kernel', async () => {
    await using one = await open(file, 'r');
    await using other = await open(file, 'r');
    await one.lock();
    let granted = false;
    const pending = other.lock('shared').then(() => {
      granted = true;
    });
    await until(() => counters().running === 1);
    expect(granted).toBe(false);
    await one.unlock();
    await pending;
    expect(isFree('-x')).toBe(false);
  });

  it('is released with its last descriptor', async () => {
    const one = await open(file, 'r');
    await one.lock('exclusive', { timeout: 10_000 });
    expect(isFree()).toBe(false);
    await one.close();
    expect(isFree()).toBe(true);
  });

  it('rejects at once with nonBlocking', async () => {
    await using one = await open(file, 'r');
    await using other = await open(file, 'r');
    await one.lock();
    const expected = {
      code: 'EAGAIN',
      errno: -11,
      syscall: 'flock',
      message: 'EAGAIN: resource temporarily unavailable, flock',
    };
    await expect(other.lock('exclusive', { nonBlocking: true })).rejects.toMatchObject(expected);
    await expect(other.lock('exclusive', { nonBlocking: true, timeout: 10_000 })).rejects.toMatchObject(expected);
  });

  it('ends with ETIMEDOUT and AbortError, and leaves no lock and no descriptor behind', async () => {
    await using one = await open(file, 'r');
    await using other = await open(file, 'r');
    const before = descriptors();
    await one.lock();
    await expect(other.lock('exclusive', { timeout: 20 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      syscall: 'flock',
    });
    const controller = new AbortController();
    const pending = other.lock('exclusive', { signal: controller.signal });
    await until(() => counters().running === 1);
    controller.abort(new Error('why'));
    await expect(pending).rejects.toMatchObject({ code: 'ABORT_ERR', cause: new Error('why') });
    await expect(other.lock('exclusive', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await one.unlock();
    await until(() => counters().running === 0 && descriptors() === before);
    expect(isFree()).toBe(true);
  });

  it('releases a lock that is granted after the abort, and keeps the one requested next', async () => {
    await using one = await open(file, 'r');
    await using other = await open(file, 'r');
    const before = descriptors();
    for (let round = 0; round < 300; round++) {
      await one.lock();
      const controller = new AbortController();
      const given = other.lock('exclusive', { signal: controller.signal }).catch(() => 'aborted');
      await until(() => counters().running >= 1);
      // The lock becomes free while the request is being aborted: it may be granted or not.
      const unlocked = one.unlock();
      controller.abort();
      const [outcome] = await Promise.all([given, unlocked]);
      if (round % 2 === 0) {
        await other.lock();
        await expect(one.lock('exclusive', { nonBlocking: true })).rejects.toMatchObject({ code: 'EAGAIN' });
        await other.unlock();
      } else {
        if (outcome === undefined) await other.unlock();
        await one.lock(); // waits until the other lock is released
        await one.unlock();
      }
    }
    await until(() => counters().running === 0 && descriptors() === before);
    expect(isFree()).toBe(true);
  });

  it('refuses what is no file and no operation', async () => {
    await expect(flock(9999, 'shared')).rejects.toMatchObject({ code: 'EBADF', syscall: 'flock' });
    await expect(flock(9999, 'shared', { timeout: 1000 })).rejects.toMatchObject({ code: 'EBADF', syscall: 'flock' });
    await expect(flock(-1, 'shared')).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    await expect(flock('x' as never, 'shared')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    await expect(flock(1, 'toString' as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    await expect(flock(1, 'shared', { nonBlocking: 1 as never })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    });
    const closed = await open(file, 'r');
    await closed.close();
    await expect(flock(closed, 'shared')).rejects.toMatchObject({ code: 'EBADF' });
  });
});
