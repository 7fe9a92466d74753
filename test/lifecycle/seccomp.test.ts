// Under a seccomp filter, and after restrict(): helpers use an older call where there is one, or their error names the refused call.
import { join } from 'node:path';
import { SYS } from 'acall';
import { describe, expect, it } from 'vitest';
import { programsOf } from '../support/programs';
import { skip } from '../support/skip';
import { compile } from './support/compile';

const { answerOf } = programsOf<typeof import('./programs/seccomp.cjs')>(join(__dirname, 'programs', 'seccomp.cjs'));
const filter = compile('seccomp-run');
const isSkipped = skip(filter === null, 'seccomp: needs a C compiler');

const kErrors = { EPERM: 1, ENOSYS: 38 };
const refused = (error: keyof typeof kErrors, ...names: (keyof typeof SYS)[]): string[] => [
  filter!,
  String(kErrors[error]),
  names.map((name) => SYS[name]).join(','),
];

describe.skipIf(isSkipped)('under a seccomp filter', () => {
  it.each(['EPERM', 'ENOSYS'] as const)(
    'helpers do without statx, openat2, copy_file_range and renameat2: %s',
    async (error) => {
      const told = await answerOf('differences', [], {
        launcher: refused(error, 'statx', 'openat2', 'copy_file_range', 'renameat2', 'preadv2', 'pwritev2'),
      });
      expect(told).toEqual([]);
    },
  );

  it.each(['EPERM', 'ENOSYS'] as const)('the error names a call that has no older one: %s', async (error) => {
    const told = await answerOf('refusedByName', [], { launcher: refused(error, 'statx', 'getdents64', 'flock') });
    expect(told).toEqual({
      syscall: { code: error, syscall: 'statx', refused: null },
      readdir: { code: error, syscall: 'scandir', refused: null },
      walk: { code: error, syscall: 'scandir', refused: null },
      flock: { code: error, syscall: 'flock', refused: null },
      getppid: 'done',
    });
  });

  it('a filter that refuses our signal leaves aborts as prompt as ever', async () => {
    const told = await answerOf('abortWithoutSignal', [], { launcher: refused('EPERM', 'tgkill', 'tkill') });
    expect(told).toEqual(Array.from({ length: 10 }, () => 'ABORT_ERR'));
  });
});

describe('restrict()', () => {
  it('seals every environment, for ever, and what was queued is looked at again', async () => {
    const { calls, helpers, ...rest } = await answerOf('sealed', [], { env: { ACALL_POOL_MAX: '2' } });
    const no = ['EPERM', true];
    expect(calls).toEqual({
      before: 'done',
      allowed: 'done',
      taken: no,
      byNumber: no,
      byUnsafe: no,
      never: no,
      worker: no,
      workerAllowed: 'done',
      queued: [['EPERM', null], 'done'],
      made: false,
      statMany: [-1],
    });
    expect(helpers).toEqual(Object.fromEntries(Object.keys(helpers).map((name) => [name, 'EPERM'])));
    expect(rest).toEqual({ wrote: false, raw: [-1, -1, -1, -1], wrong: 'ERR_INVALID_ARG_VALUE' });
  });

  it('closes what an aborted call was given although close was taken away', async () => {
    const told = await answerOf('abortWithoutClose', []);
    expect(told.after).toBe(told.before);
  });

  it('a stat goes to a thread where an inline stat would need calls that are gone, and uses the call that is left', async () => {
    expect(await answerOf('inlineWithoutItsCalls', [])).toEqual({
      stat: 4,
      statx: 0,
      newfstatat: 0,
      pread64: 4,
      pwrite64: 4,
      hits: 0,
      getppid: 0,
      quick: 1,
      taken: 'EPERM',
      takenClose: 'EPERM',
      closed: 1,
    });
  });

  it('cannot be got round by a program', async () => {
    expect([-1, 'EPERM']).toContain(await answerOf('restrictedProgram', []));
  });
});
