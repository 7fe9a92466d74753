/* Programs of inline-stalled.test.ts: inline calls beside threads that a stalled disk holds. */
const acall = require('acall');
const fs = require('node:fs');
const { nextTurn, threadsIn, until } = require('../../support/inside.cjs');

const { syscall, constants, SYS } = acall;

/** Where the disk is mounted; the parent passes it. */
const disk = process.env.ACALL_TEST_DISK ?? '';

/** Prints the next call: the last line of stderr names the call that did not return. */
const say = (/** @type {string} */ text) => void fs.writeSync(2, `${text}\n`);

/** Threads of their own that hold a pipe, positions of files, folders, and the descriptors of these. */
async function holdDescriptors() {
  const open = (/** @type {string} */ path, /** @type {number} */ flags) =>
    syscall('openat', [constants.AT_FDCWD, path, flags | constants.O_CLOEXEC]);
  const positional = await open(`${disk}/file`, constants.O_RDWR);
  const positioned = await open(`${disk}/file`, constants.O_RDWR);
  const spliced = await open(`${disk}/file`, constants.O_RDWR);
  const folder = await open(disk, constants.O_RDONLY | constants.O_DIRECTORY);
  const pipe = Buffer.alloc(8);
  await syscall('pipe2', [pipe, 0]);
  const [reader, writer] = [pipe.readInt32LE(0), pipe.readInt32LE(4)];
  const pair = Buffer.alloc(8);
  await syscall('socketpair', [1, 1, 0, pair]);
  const held = (/** @type {acall.SyscallName} */ name, /** @type {acall.SyscallArg[]} */ args) =>
    void syscall(name, args, { thread: 'own' }).catch(() => {});
  held('pread64', [positional, Buffer.alloc(16), 16, 0]);
  held('read', [positioned, Buffer.alloc(16), 16]);
  held('splice', [spliced, null, writer, null, 4096, 0]);
  held('getdents64', [folder, Buffer.alloc(4096), 4096]);
  for (const name of /** @type {const} */ (['pread64', 'read', 'splice', 'getdents64'])) {
    await until(() => threadsIn(name) >= 1);
  }
  // It waits for the ones before: for the mutex of the pipe.
  held('fcntl', [writer, constants.F_SETPIPE_SZ, 8192]);
  await until(() => threadsIn('fcntl') >= 1);
  return [positional, positioned, spliced, folder, reader, writer, pair.readInt32LE(0)];
}

/** Runs something beside such threads, until timers have fired again. */
async function beside(/** @type {(descriptors: number[]) => Promise<unknown>} */ act) {
  const descriptors = await holdDescriptors();
  let ticks = 0;
  setInterval(() => ticks++, 5);
  await act(descriptors);
  const seen = ticks;
  await until(() => ticks > seen + 3);
  console.log('done');
  process.exit(0);
}

/** All `quick` rules of the table, each with the values that select it, so that a new row is tested without a change here. */
function quickRules() {
  const { CallFlag, Place } = require('../../../dist/generated/syscalls.js');
  const table = require(`../../../dist/generated/syscalls-${process.arch}.js`);
  const { calls, variants, selectors } = JSON.parse(table.signatures);
  /** @type {{ name: acall.SyscallName, args: any[], chosen: Record<number, number> }[]} */
  const quick = [];
  const visit = (/** @type {any} */ name, /** @type {any} */ rule, /** @type {Record<number, number>} */ chosen) => {
    const [place, flags, args, selector] = rule;
    if (flags & CallFlag.neverBlocks && place === Place.anywhere) quick.push({ name, args, chosen });
    if (!selector) return;
    const [arg, , cases] = selectors[selector];
    for (const [low, , variant] of cases) visit(name, variants[variant], { ...chosen, [arg]: low });
  };
  for (const [name, rule] of Object.entries(calls)) visit(name, rule, {});
  if (quick.length < 80) throw new Error(`only ${quick.length} rows`);
  return quick;
}

const everyQuickCall = () =>
  beside(async (descriptors) => {
    const { ArgKind } = require('../../../dist/generated/syscalls.js');
    const arena = new acall.Arena(1 << 20);
    const memory = arena.alloc(65_536);
    const base = acall.addressOf(memory);
    const slot = new acall.AcallCompletion(arena);
    const submission = new acall.AcallSubmission(arena);
    for (const { name, args, chosen } of quickRules()) {
      const counts = new Set(args.filter(([, kind]) => kind >= ArgKind.path).map(([, , , length = 0]) => length));
      for (const fd of args.some(([, kind]) => kind === ArgKind.fd) ? descriptors : [0]) {
        memory.fill(0);
        submission.nr = Number(SYS[name]);
        submission.flags = acall.ACALL_SUBMIT_INLINE | acall.ACALL_SUBMIT_THREAD_POOL;
        submission.cookie = 1n;
        submission.completion_pointer = slot.address;
        args.forEach(([argument, kind = 0], i) => {
          let value = 0n;
          const wanted = chosen[i];
          if (wanted !== undefined) value = BigInt(wanted);
          else if (kind === ArgKind.fd) value = BigInt(fd);
          else if (kind >= ArgKind.path) value = base + BigInt(i * 8192);
          else if (counts.has(i)) value = 8n;
          else if (argument === 'resource') value = 4n; // the size of core files
          submission.args[i] = value;
        });
        say(`${name} ${JSON.stringify(chosen)} ${fd}`);
        const before = acall.counters().inlineHits;
        if (acall.acall_submit([submission]) === 1 && acall.counters().inlineHits === before) {
          throw new Error(`${name} was not tried`);
        }
      }
      await nextTurn();
    }
  });

const transfersAndStats = () =>
  beside(async (descriptors) => {
    const buffer = Buffer.alloc(64);
    const ignore = () => {};
    for (const fd of descriptors) {
      /** @type {[acall.SyscallName, acall.SyscallArg[]][]} */
      const calls = [
        ['read', [fd, buffer, 64]],
        ['pread64', [fd, buffer, 64, 0]],
        ['write', [fd, buffer, 64]],
        ['pwrite64', [fd, buffer, 64, 0]],
        ['lseek', [fd, 0, constants.SEEK_CUR]],
        ['recvfrom', [fd, buffer, 64, 0, null, null]],
        ['sendto', [fd, buffer, 64, 0, null, 0]],
        ['fcntl', [fd, constants.F_GETPIPE_SZ]],
        ['fcntl', [fd, constants.F_SETPIPE_SZ, 4096]],
        ['fcntl', [fd, constants.F_GETFL]],
        ['fcntl', [fd, constants.F_SETFL, 0]],
      ];
      for (const [name, args] of calls) {
        say(`${name} ${fd}`);
        syscall(name, args).catch(ignore);
        await nextTurn();
      }
      acall.fstat(fd).catch(ignore);
      await nextTurn();
    }
    for (const path of ['/', '/file', '/late', '/missing']) {
      say(`stat ${path}`);
      acall.stat(disk + path).catch(ignore);
      await nextTurn();
    }
  });

module.exports = { everyQuickCall, transfersAndStats };
