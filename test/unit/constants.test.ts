import { constants as nodeFs } from 'node:fs';
import os from 'node:os';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { constants } from '../../dist/generated/constants.js';
import { arm64, shared, x64 } from '../../dist/generated/constants-data.js';
import { errnoName, errnoText } from '../../dist/generated/errno.js';
import {
  ACALL_SUBMIT_THREAD_POOL,
  ACALL_SUBMIT_UNSAFE,
  acallCompletionLayout,
  acallCompletionRingLayout,
  acallIdLayout,
  acallSubmissionLayout,
} from '../../dist/generated/layout.js';

const ours = constants as unknown as Record<string, number | undefined>;

describe('constants', () => {
  it('agree with node:fs', () => {
    // libuv's own: not the kernel's.
    const kernelNames = Object.entries(nodeFs).filter(([name]) => !/^UV_|COPYFILE|EXTENSIONLESS/.test(name));
    expect(kernelNames.length).toBeGreaterThan(30);
    expect(kernelNames.filter(([name, value]) => ours[name] !== value)).toEqual([]);
  });

  it('agree with node:os about errors and signals', () => {
    const names = [...Object.entries(os.constants.errno), ...Object.entries(os.constants.signals)];
    expect(names.length).toBeGreaterThan(100);
    expect(names.filter(([name, value]) => ours[name] !== value)).toEqual([]);
  });

  it('have the kernel values that libc hides or lacks', () => {
    expect(constants.AT_FDCWD).toBe(-100);
    expect(constants.SIGRTMIN).toBe(32);
    expect(constants.O_LARGEFILE).not.toBe(0);
    expect(constants.RESOLVE_CACHED).toBe(0x20);
    expect(constants.STATX_BASIC_STATS).toBe(0x7ff);
    expect(constants.EPOLLET).toBe(0x8000_0000);
    expect(constants.F_OFD_SETLKW).toBe(38);
    expect(constants.RWF_NOWAIT).toBe(8);
  });

  it('have at least one of every family', () => {
    const families =
      'O_PATH AT_EMPTY_PATH STATX_MTIME RESOLVE_BENEATH LOCK_EX F_SETLK SEEK_HOLE S_IFMT FALLOC_FL_PUNCH_HOLE ' +
      'RENAME_NOREPLACE MSG_DONTWAIT SOCK_CLOEXEC AF_UNIX SO_REUSEADDR SOL_SOCKET EPOLLIN EPOLL_CTL_ADD POLLIN ' +
      'IN_MODIFY MAP_SHARED PROT_READ MADV_DONTNEED SPLICE_F_MOVE CLONE_PIDFD PIDFD_NONBLOCK P_PIDFD WNOHANG WEXITED ' +
      'CLOCK_MONOTONIC TFD_CLOEXEC EFD_SEMAPHORE SFD_CLOEXEC MFD_CLOEXEC GRND_NONBLOCK XATTR_CREATE FUTEX_WAIT ' +
      'PR_SET_NAME RLIMIT_NOFILE IPPROTO_TCP TCP_NODELAY ENOENT SIGTERM SI_USER POSIX_FADV_DONTNEED ' +
      'SYNC_FILE_RANGE_WRITE DT_DIR F_SEAL_WRITE LANDLOCK_ACCESS_FS_READ_FILE KEYCTL_READ IOPRIO_CLASS_IDLE MNT_DETACH ' +
      'MS_RDONLY MOUNT_ATTR_RDONLY OPEN_TREE_CLONE FSCONFIG_CMD_CREATE CLOSE_RANGE_CLOEXEC R_OK PATH_MAX UMOUNT_NOFOLLOW ' +
      'TMPFS_MAGIC FICLONE TIOCGWINSZ SHUT_RDWR SCM_RIGHTS IPC_RMID SCHED_IDLE MEMBARRIER_CMD_GLOBAL FAN_OPEN ' +
      'UFFD_USER_MODE_ONLY NETLINK_ROUTE PACKET_FANOUT UDP_SEGMENT IPV6_V6ONLY IP_TTL ITIMER_REAL PRIO_PROCESS ' +
      'RUSAGE_THREAD MLOCK_ONFAULT MCL_CURRENT MREMAP_MAYMOVE MPOL_BIND Q_GETQUOTA SECBIT_NOROOT SA_RESTART SIGEV_NONE';
    expect(families.split(' ').filter((name) => typeof ours[name] !== 'number')).toEqual([]);
  });

  it('differ between the architectures where the kernel does', () => {
    const parsed = { x64: JSON.parse(x64), arm64: JSON.parse(arm64), shared: JSON.parse(shared) };
    expect(parsed.x64).toMatchObject({ O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000, O_DIRECT: 0o40000 });
    expect(parsed.arm64).toMatchObject({ O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000, O_DIRECT: 0o200000 });
    expect(Object.keys(parsed.shared).length).toBeGreaterThan(1500);
  });

  it('are a frozen plain list of numbers', () => {
    expect(Object.isFrozen(constants)).toBe(true);
    expect(ours.toString).toBe(Object.prototype.toString);
    expect(Object.getOwnPropertyDescriptor(constants, 'O_RDONLY')).toMatchObject({ value: 0, writable: false });
    expect('O_RDONLY' in constants).toBe(true);
    expect(Object.values(constants).every(Number.isSafeInteger)).toBe(true);
    expect(() => Object.assign(constants, { O_RDONLY: 7 })).toThrow(TypeError);
    expect(inspect(constants, { maxArrayLength: 1 })).toContain('O_RDONLY: 0');
  });
});

describe('a name that no constant has', () => {
  it.each([
    ['O_RDOLNY', 'O_RDONLY'],
    ['SIGTREM', 'SIGTERM'],
    ['AT_EMPTYPATH', 'AT_EMPTY_PATH'],
    ['F_SETPIPE_SIZE', 'F_SETPIPE_SZ'],
    ['S_IFREGG', 'S_IFREG'],
  ])('%s is refused, and %s is named', (wrong, right) => {
    expect(() => ours[wrong]).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringContaining(` ${right}?`) }),
    );
    expect(wrong in constants).toBe(false);
    expect(Object.hasOwn(constants, wrong)).toBe(false);
  });

  it('is none that JavaScript itself looks for', () => {
    for (const name of ['then', 'toJSON', 'constructor', 'x', 'O-', '$O', Symbol.iterator]) {
      expect(() => (constants as unknown as Record<PropertyKey, unknown>)[name]).not.toThrow();
    }
    expect(JSON.parse(JSON.stringify(constants)).O_RDONLY).toBe(0);
    expect({ ...constants }.O_WRONLY).toBe(1);
    expect(structuredClone(constants).O_RDWR).toBe(2);
  });

  it('is not exported when it describes the header itself', () => {
    const junk =
      'AF_MAX PF_MAX IPPROTO_MAX SEEK_MAX MPOL_MAX F_LINUX_SPECIFIC_BASE SI_MAX_SIZE SIGEV_PAD_SIZE TCP_NLA_PAD ' +
      'XATTR_USER_PREFIX_LEN NETLINK_UNUSED MS_BORN MS_KERNMOUNT POLLFREE FPSIMD_MAGIC SVE_MAGIC IN_CLASSE_NSHIFT';
    expect(junk.split(' ').filter((name) => name in constants)).toEqual([]);
  });
});

describe('errors', () => {
  it('have the names and texts of strace and libc', () => {
    expect([errnoName(2), errnoText(2)]).toEqual(['ENOENT', 'No such file or directory']);
    expect([errnoName(11), errnoText(11)]).toEqual(['EAGAIN', 'Resource temporarily unavailable']);
    expect(errnoName(95)).toBe('EOPNOTSUPP');
    expect(errnoName(133)).toBe('EHWPOISON');
    for (const none of [0, -2, 41, 134, 5000, 1.5, Number.NaN]) {
      expect([errnoName(none), errnoText(none)]).toEqual([undefined, undefined]);
    }
  });

  it('have a name for every error that Node knows', () => {
    for (const [name, number] of Object.entries(os.constants.errno)) {
      expect(ours[errnoName(number)!], name).toBe(number);
    }
  });
});

describe('the layout', () => {
  it('is the binary interface, byte for byte', () => {
    expect(acallSubmissionLayout).toEqual({
      size: 88,
      nr: 0,
      flags: 4,
      cookie: 8,
      completion_ring_pointer: 16,
      completion_pointer: 24,
      id_pointer: 32,
      args: 40,
    });
    expect(acallIdLayout.size).toBe(16);
    expect(acallCompletionLayout).toEqual({ size: 16, return_code: 0, cookie: 8 });
    expect(acallCompletionRingLayout).toEqual({ size: 8, head: 0, nr: 4, comps: 8 });
    expect([ACALL_SUBMIT_THREAD_POOL, ACALL_SUBMIT_UNSAFE]).toEqual([1, 1 << 17]);
  });
});
