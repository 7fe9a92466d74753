import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ArgFlag,
  ArgKind,
  CallFlag,
  Place,
  type RuleData,
  SYS,
  type SyscallArgs,
} from '../../dist/generated/syscalls.js';
import {
  allRules,
  architectures,
  data,
  has,
  nativeNumbers,
  numbersOf,
  placeOf,
  resolveRule,
  root,
} from './support/table';

const triples = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** Numbers of the installed kernel headers, through the preprocessor alone; null without a compiler for them. */
function headerNumbers(arch: 'x64' | 'arm64'): Map<string, number> | null {
  const command = process.arch === arch ? 'cc' : `${triples[arch]}-gcc`;
  const run = (args: string[], input: string) => spawnSync(command, args, { input, encoding: 'utf8' });
  const macros = run(['-E', '-dM', '-'], '#include <asm/unistd.h>\n');
  if (macros.status !== 0) return null;
  const names = [...macros.stdout.matchAll(/^#define __NR_(\w+) /gm)].map(([, name]) => name!);
  const values = run(
    ['-E', '-P', '-'],
    `#include <asm/unistd.h>\n${names.map((n) => `@ ${n} = __NR_${n}`).join('\n')}`,
  );
  return new Map(
    [...values.stdout.matchAll(/^@ (\w+) = (\d+)$/gm)]
      .filter(([, name]) => name !== 'syscalls' && name !== 'arch_specific_syscall')
      .map(([, name, value]) => [name!, Number(value)]),
  );
}

describe('the table of syscalls', () => {
  it('is what the generator makes', { timeout: 180_000 }, ({ skip }) => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/generate.mjs'), '--check'], {
      encoding: 'utf8',
    });
    if (status === 2 && stderr.includes('no C++ compiler')) skip(`SKIPPED: ${stderr.trim()}`);
    expect(stderr.replace(/^generate: .* values agree\n/, '')).toBe('');
    expect(status).toBe(0);
  });

  for (const arch of architectures) {
    it(`has every call of the ${arch} headers under its number`, ({ skip }) => {
      const headers = headerNumbers(arch);
      if (!headers) return skip(`SKIPPED: no C compiler for ${arch}`);
      expect(headers.size).toBeGreaterThan(300);
      const table = numbersOf(arch);
      const wrong = [...headers].filter(([name, number]) => table.get(name) !== number);
      expect(wrong).toEqual([]);
    });

    it(`has the same calls on both sides for ${arch}`, () => {
      expect(Object.keys(data[arch].calls).sort()).toEqual([...nativeNumbers(arch).values()].sort());
    });
  }

  it('gives SYS the numbers of the running architecture', () => {
    const table = numbersOf(process.arch as 'x64');
    expect(new Map(Object.entries(SYS))).toEqual(table);
    expect(Object.isFrozen(SYS)).toBe(true);
    expect(SYS.mseal).toBe(462);
  });

  it('knows calls newer than the headers by the number they have everywhere', () => {
    for (const arch of architectures) {
      const numbers = numbersOf(arch);
      expect([numbers.get('cachestat'), numbers.get('statmount'), numbers.get('file_setattr')]).toEqual([
        451, 457, 469,
      ]);
    }
  });

  it('never lets an unchecked pointer run where everything may', () => {
    for (const arch of architectures) {
      const loose = allRules(arch).filter(
        ([, rule]) =>
          rule[2].some(([, kind]) => kind === ArgKind.unchecked) && rule[0] !== Place.unsafe && rule[0] !== Place.never,
      );
      expect(loose).toEqual([]);
    }
  });

  it('marks nothing harmless that may not run anywhere', () => {
    for (const arch of architectures) {
      const wrong = allRules(arch).filter(([, rule]) => has(rule, 'harmless') && placeOf(rule) !== 'anywhere');
      expect(wrong).toEqual([]);
      expect(allRules(arch).filter(([, rule]) => has(rule, 'harmless')).length).toBeGreaterThan(100);
    }
  });

  it('marks each call that has pointers, and each call with memory to copy', () => {
    for (const arch of architectures) {
      for (const [name, rule] of allRules(arch)) {
        expect([name, has(rule, 'hasPointers')]).toEqual([name, rule[2].some(([, kind = 0]) => kind >= ArgKind.path)]);
        expect([name, has(rule, 'copies')]).toEqual([name, rule[2].some(([, , flags = 0]) => flags & 4)]);
      }
    }
  });
});

describe('where a call may run', () => {
  const places = (names: string) =>
    architectures.flatMap((arch) =>
      names
        .split(' ')
        .filter((name) => name in data[arch].calls)
        .map((name) => [name, placeOf(data[arch].calls[name]!)]),
    );
  const expectAll = (names: string, place: string) =>
    expect(places(names).filter(([, actual]) => actual !== place)).toEqual([]);

  it('never: what would break the process', () => {
    expectAll(
      'exit exit_group fork vfork clone clone3 execve execveat rt_sigreturn rt_sigaction rt_sigprocmask',
      'never',
    );
    expectAll(
      'sigaltstack set_tid_address set_robust_list rseq arch_prctl brk restart_syscall seccomp ptrace',
      'never',
    );
    expectAll('modify_ldt set_thread_area map_shadow_stack prctl uretprobe uprobe', 'never');
  });

  it('own thread only: what binds to a thread', () => {
    expectAll('setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset setns', 'own');
    expectAll(
      'unshare landlock_restrict_self sched_setparam sched_setscheduler sched_setattr sched_setaffinity',
      'own',
    );
    expectAll('setpriority ioprio_set personality set_mempolicy ioperm iopl lsm_set_self_attr', 'own');
    expect(placeOf(resolveRule('x64', 'keyctl', { 0: 0 }))).toBe('own');
  });

  /** Calls, and cases of calls, of which something holds: `close_range(flags & 2 = 2)`. */
  function casesWhere(arch: 'x64' | 'arm64', test: (rule: RuleData) => boolean): string[] {
    const { calls, variants, selectors } = data[arch];
    const found: string[] = [];
    const visit = (name: string, rule: RuleData, where: readonly string[]) => {
      if (test(rule)) found.push(where.length > 0 ? `${name}(${where.join(', ')})` : name);
      if (!rule[3]) return;
      const [arg, mask, cases] = selectors[rule[3]]!;
      const what = rule[2][arg]![0] + (mask === 0xffffffff ? '' : ` & ${mask}`);
      for (const [low, high, variant] of cases) {
        const values = low === high ? low : `${low}..${high}`;
        visit(name, variants[variant]!, [...where, `${what} = ${values}`]);
      }
    };
    for (const [name, rule] of Object.entries(calls)) visit(name, rule, []);
    return found.sort();
  }

  it('own: everything that changes its thread, also by a flag or a command alone', () => {
    const always =
      'add_key capset ioprio_set landlock_restrict_self lsm_set_self_attr personality pkey_alloc pkey_free ' +
      'request_key sched_setaffinity sched_setattr sched_setparam sched_setscheduler set_mempolicy setfsgid setfsuid ' +
      'setgid setgroups setns setpriority setregid setresgid setresuid setreuid setuid unshare';
    const futexes = [6, 7, 8, 11, 12, 13].map(String);
    for (const arch of architectures) {
      const own = casesWhere(arch, (rule) => placeOf(rule) === 'own');
      const plain = own.filter((name) => !name.includes('('));
      expect(plain).toEqual([...always.split(' '), ...(arch === 'x64' ? ['ioperm', 'iopl'] : [])].sort());
      const byArgument = own.filter((name) => /^(?!keyctl|prctl|futex)\w+\(/.test(name));
      expect(byArgument).toEqual([
        'close_range(flags & 2 = 2)',
        'timer_create(clockid = 3)',
        'timer_create(clockid = 4294967292..4294967294)',
      ]);
      for (const operation of futexes) {
        expect(placeOf(resolveRule(arch, 'futex', { 1: Number(operation) })), operation).toBe('own');
      }
      for (const flags of [2, 6, 0xffff_ffff]) {
        expect(placeOf(resolveRule(arch, 'close_range', { 2: flags })), String(flags)).toBe('own');
        expect(has(resolveRule(arch, 'close_range', { 2: flags }), 'neverInterrupted')).toBe(true);
      }
      expect(placeOf(resolveRule(arch, 'close_range', { 2: 4 }))).toBe('anywhere');
    }
  });

  it('kept: everything that uses memory after it has returned, and only with unsafe', () => {
    const keeps = (rule: RuleData) => has(rule, 'keepsMemory');
    for (const arch of architectures) {
      expect(casesWhere(arch, keeps)).toEqual([
        'io_submit',
        'io_uring_register',
        'io_uring_setup',
        'sendmmsg',
        'sendmsg(flags & 67108864 = 67108864)',
        'sendto(flags & 67108864 = 67108864)',
        'vmsplice',
      ]);
      for (const [name, rule] of allRules(arch)) {
        const kept = rule[2].some(([, , flags = 0]) => (flags & ArgFlag.kept) !== 0);
        expect([name, kept]).toEqual([name, keeps(rule)]);
        if (kept) expect([name, placeOf(rule)]).toEqual([name, 'unsafe']);
      }
    }
  });

  it('for the whole process: owners, signals, leases and notes of descriptors', () => {
    const [F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY, F_GETOWN, F_SETFD] = [8, 10, 15, 1024, 1026, 9, 2];
    for (const arch of architectures) {
      for (const command of [F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY]) {
        expect([command, has(resolveRule(arch, 'fcntl', { 1: command }), 'processWide')]).toEqual([command, true]);
      }
      for (const command of [F_GETOWN, F_SETFD]) {
        expect([command, has(resolveRule(arch, 'fcntl', { 1: command }), 'processWide')]).toEqual([command, false]);
      }
    }
    const page = readFileSync(join(root, 'docs/syscalls.md'), 'utf8');
    const section = /^## For the whole process$([\s\S]*?)^## /m.exec(page)![1]!;
    for (const name of ['F_SETOWN', 'F_SETSIG', 'F_SETOWN_EX', 'F_SETLEASE', 'F_NOTIFY'])
      expect(section).toContain(name);
  });

  it('unsafe: what cannot be checked', () => {
    expectAll('munmap mremap mprotect pkey_mprotect process_vm_readv process_vm_writev bpf io_submit', 'unsafe');
    expectAll('io_uring_setup io_uring_enter io_uring_register kexec_load shmdt mseal process_madvise', 'unsafe');
    const MADV_DONTNEED = 4;
    const MADV_WILLNEED = 3;
    expect(placeOf(resolveRule('x64', 'madvise', { 2: MADV_DONTNEED }))).toBe('unsafe');
    expect(placeOf(resolveRule('x64', 'madvise', { 2: MADV_WILLNEED }))).toBe('anywhere');
    const MAP_PRIVATE_ANONYMOUS = 0x22;
    const MAP_FIXED = 0x10;
    expect(placeOf(resolveRule('x64', 'mmap', { 3: MAP_PRIVATE_ANONYMOUS }))).toBe('anywhere');
    expect(placeOf(resolveRule('x64', 'mmap', { 3: MAP_PRIVATE_ANONYMOUS | MAP_FIXED }))).toBe('unsafe');
  });

  it('ioctl and fcntl commands with pointers are unsafe, struct flock excepted', () => {
    const TIOCGWINSZ = 0x5413;
    const FIOCLEX = 0x5451;
    const [F_GETFL, F_SETLK, F_GETOWN_EX, F_OFD_SETLKW] = [3, 6, 16, 38];
    expect(placeOf(resolveRule('x64', 'ioctl', { 1: TIOCGWINSZ }))).toBe('unsafe');
    expect(placeOf(resolveRule('x64', 'ioctl', { 1: FIOCLEX }))).toBe('anywhere');
    expect(placeOf(resolveRule('x64', 'fcntl', { 1: F_GETOWN_EX }))).toBe('unsafe');
    for (const command of [F_GETFL, F_SETLK, F_OFD_SETLKW]) {
      expect(placeOf(resolveRule('x64', 'fcntl', { 1: command }))).toBe('anywhere');
    }
    expect(placeOf(resolveRule('x64', 'fcntl', { 1: 12345 }))).toBe('unsafe');
  });

  it('socket options that carry addresses or overrun their buffer are unsafe', () => {
    const [SOL_SOCKET, IPPROTO_IP, IPPROTO_TCP] = [1, 0, 6];
    const place = (name: string, level: number, option: number) =>
      placeOf(resolveRule('x64', name, { 1: level, 2: option }));
    const [SO_ERROR, SO_ATTACH_FILTER, TCP_INFO, TCP_ZEROCOPY_RECEIVE] = [4, 26, 11, 35];
    const [IP_TTL, MCAST_MSFILTER, IPT_SO_SET_REPLACE, SOL_XDP] = [2, 48, 64, 283];
    expect(place('getsockopt', SOL_SOCKET, SO_ERROR)).toBe('anywhere');
    expect(place('getsockopt', SOL_SOCKET, SO_ATTACH_FILTER)).toBe('unsafe');
    expect(place('setsockopt', SOL_SOCKET, SO_ATTACH_FILTER)).toBe('unsafe');
    expect(place('getsockopt', IPPROTO_TCP, TCP_INFO)).toBe('anywhere');
    expect(place('getsockopt', IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE)).toBe('unsafe');
    expect(place('getsockopt', IPPROTO_IP, IP_TTL)).toBe('anywhere');
    expect(place('getsockopt', IPPROTO_IP, MCAST_MSFILTER)).toBe('unsafe');
    expect(place('setsockopt', IPPROTO_IP, IPT_SO_SET_REPLACE)).toBe('unsafe');
    expect(place('setsockopt', SOL_XDP, 4)).toBe('unsafe');
  });

  it('prctl runs for a list of options, and those of one thread in their own', () => {
    const [PR_GET_DUMPABLE, PR_SET_NAME, PR_SET_SECCOMP, PR_SET_MM, PR_SET_CHILD_SUBREAPER] = [3, 15, 22, 35, 36];
    expect(placeOf(resolveRule('x64', 'prctl', { 0: PR_GET_DUMPABLE }))).toBe('anywhere');
    expect(placeOf(resolveRule('x64', 'prctl', { 0: PR_SET_CHILD_SUBREAPER }))).toBe('anywhere');
    expect(placeOf(resolveRule('x64', 'prctl', { 0: PR_SET_NAME }))).toBe('own');
    expect(placeOf(resolveRule('x64', 'prctl', { 0: PR_SET_SECCOMP }))).toBe('never');
    expect(placeOf(resolveRule('x64', 'prctl', { 0: PR_SET_MM }))).toBe('never');
  });

  it('never interrupts close, close_range, dup2 and dup3, and nothing else', () => {
    for (const arch of architectures) {
      const marked = Object.entries(data[arch].calls).filter(([, rule]) => rule[1] & CallFlag.neverInterrupted);
      const names = ['close', 'close_range', 'dup2', 'dup3'].filter((name) => name in data[arch].calls);
      expect(marked.map(([name]) => name).sort()).toEqual(names);
    }
  });

  it('marks a result as a length only where it is the length of the one buffer that the call fills', () => {
    for (const arch of architectures) {
      const flagged = allRules(arch).filter(([, rule]) => has(rule, 'returnsLength'));
      const written = ([, rule]: (typeof flagged)[number]) =>
        rule[2].filter(([, kind = 0, flags = 0]) => kind === ArgKind.bytes && (flags & ArgFlag.out) !== 0);
      expect(flagged.filter((call) => written(call).length !== 1 || has(call[1], 'returnsFd'))).toEqual([]);
      const names = flagged.map(([name]) => name);
      expect(names).toEqual(expect.arrayContaining(['read', 'pread64', 'readlinkat', 'getdents64', 'listxattrat']));
      for (const name of ['write', 'getgroups', 'msgrcv', 'epoll_wait', 'listmount']) expect(names).not.toContain(name);
    }
  });

  it('marks a result as a descriptor only where it is one', () => {
    const returnsFd = (name: string, values = {}) => has(resolveRule('x64', name, values), 'returnsFd');
    for (const name of ['open', 'openat', 'openat2', 'socket', 'accept4', 'memfd_create', 'epoll_create1', 'dup']) {
      expect([name, returnsFd(name)]).toEqual([name, true]);
    }
    for (const name of ['read', 'inotify_add_watch', 'timer_create', 'shmat', 'dup2', 'pipe2', 'shmget']) {
      expect([name, returnsFd(name)]).toEqual([name, false]);
    }
    // A version, a descriptor that was there before, a flag word.
    expect(returnsFd('landlock_create_ruleset', { 2: 1 })).toBe(false);
    expect(returnsFd('landlock_create_ruleset', { 2: 0 })).toBe(true);
    expect(returnsFd('signalfd4', { 0: 5 })).toBe(false);
    expect(returnsFd('signalfd4', { 0: -1 })).toBe(true);
    expect(returnsFd('fcntl', { 1: 1030 })).toBe(true);
    expect(returnsFd('fcntl', { 1: 1 })).toBe(false);
  });
});

describe('types of the arguments', () => {
  it('follow names and counts', () => {
    const openat: SyscallArgs['openat'] = [-100, '/tmp', 0];
    const read: SyscallArgs['read'] = [0, new Uint8Array(4), 4];
    // @ts-expect-error a path is no boolean
    const wrongKind: SyscallArgs['openat'] = [-100, true, 0];
    // @ts-expect-error the count is missing
    const tooFew: SyscallArgs['read'] = [0, new Uint8Array(4)];
    // @ts-expect-error getpid has no argument
    const tooMany: SyscallArgs['getpid'] = [1];
    // @ts-expect-error the kernel writes into it: no text
    const written: SyscallArgs['read'] = [0, 'text', 4];
    expect([openat, read, wrongKind, tooFew, tooMany, written].map((args) => args.length)).toEqual([3, 3, 3, 2, 1, 3]);
  });
});
