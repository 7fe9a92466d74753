/*
 * Tests of acall for other runners, jest and vitest. Each file of a run loads the modules anew, in a realm of its own, over the one
 * addon of the process.
 */
/**
 * @param {() => typeof import('acall')} load
 * @param {(name: string, body: () => unknown) => void} test
 * @param {any} expect
 * @param {{ resetModules(): void, useFakeTimers(): void, useRealTimers(): void }} runner
 */
module.exports = (load, test, expect, runner) => {
  const acall = load();
  const stuck = (/** @type {import('acall').CommonOptions} */ options) =>
    acall.syscall('nanosleep', [new BigInt64Array([1000n, 0n]), null], options);

  test('calls in a burst, and one after another, get their own results', async () => {
    const all = await Promise.all(Array.from({ length: 3000 }, (_, i) => acall.stat(i % 2 ? __filename : '/')));
    expect(new Set(all.map((stats) => `${stats.ino} ${stats.size}`)).size).toBe(2);
    for (let i = 0; i < 200; i++) expect((await acall.stat(__filename)).size).toBe(all[1].size);
    expect((await acall.readFile(__filename)).length).toBe(all[1].size);
    expect((await acall.statMany([__filename, '/'])).size[0]).toBe(all[1].size);
  });

  test('the modules loaded again share nothing', async () => {
    runner.resetModules();
    const other = load();
    const ours = Array.from({ length: 300 }, () => acall.stat(__filename));
    const theirs = Array.from({ length: 300 }, () => other.stat('/'));
    expect(new Set((await Promise.all(ours)).map(({ ino }) => ino)).size).toBe(1);
    expect(new Set((await Promise.all(theirs)).map(({ ino }) => ino)).size).toBe(1);
    const controller = new AbortController();
    const aborted = expect(stuck({ signal: controller.signal })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    const going = other.syscall('nanosleep', [new BigInt64Array([0n, 50_000_000n]), null]);
    controller.abort();
    await aborted;
    expect(await going).toBe(0);
  });

  test('faked timers do not reach calls in flight', async () => {
    runner.useFakeTimers();
    try {
      for (let i = 0; i < 3000; i++) await acall.stat('/');
      await Promise.all(Array.from({ length: 3000 }, () => acall.stat('/')));
      let entries = 0;
      for await (const _ of acall.walk(__dirname)) entries++;
      expect(entries).toBe((await acall.walk(__dirname).collect()).length);
      await expect(stuck({ timeout: 20 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    } finally {
      runner.useRealTimers();
    }
  });

  test('values of this realm are recognized', async () => {
    const path = Buffer.from(__filename);
    expect((await acall.stat(new Uint8Array(path))).isFile()).toBe(true);
    expect((await acall.stat(new URL(`file://${__filename}`))).isFile()).toBe(true);
    expect((await acall.readFiles([__filename])).length).toBe(1);
    expect(acall.Arena.from(new SharedArrayBuffer(4096)).cstring(new Uint8Array([65])).length).toBe(2);
    await expect(stuck({ signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });

  // The file ends with calls in flight: its realm is torn down, and the next file must not notice.
  test('leaves calls behind', () => {
    for (let i = 0; i < 4; i++) stuck({ ref: false }).catch(() => {});
    for (let i = 0; i < 500; i++) acall.stat('/').catch(() => {});
  });
};
