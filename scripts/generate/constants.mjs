/**
 * Selects the constants of the headers that are exported, and prints them. Where libc and the kernel differ, the kernel's
 * value counts.
 */
import { banner, wrap } from './emit-syscalls.mjs';

const kernel = [
  ...['aio_abi', 'capability', 'close_range', 'errno', 'eventpoll', 'fadvise', 'falloc', 'fanotify', 'fcntl', 'fiemap'],
  ...['fs', 'futex', 'icmpv6', 'if_packet', 'in', 'in6', 'inotify', 'ioctl', 'ioprio', 'ipc', 'kcmp', 'keyctl'],
  ...['landlock', 'limits', 'magic', 'membarrier', 'memfd', 'mempolicy', 'mman', 'mount', 'mqueue', 'msg', 'netlink'],
  ...['nsfs', 'openat2', 'perf_event', 'personality', 'pidfd', 'poll', 'prctl', 'quota', 'reboot', 'resource', 'sched'],
  ...['securebits', 'sem', 'shm', 'signal', 'signalfd', 'socket', 'sockios', 'stat', 'tcp', 'time', 'timerfd', 'times'],
  ...['udp', 'un', 'unistd', 'userfaultfd', 'wait', 'xattr'],
]
  .map((name) => `<linux/${name}.h>`)
  .concat(['<asm/socket.h>', '<asm/ioctls.h>', '<asm/termbits.h>']);
const libc = [
  ...[
    'arpa/inet',
    'dirent',
    'errno',
    'fcntl',
    'netdb',
    'netinet/in',
    'netinet/tcp',
    'netinet/udp',
    'sched',
    'signal',
    'spawn',
  ],
  ...['sys/epoll', 'sys/eventfd', 'sys/file', 'sys/inotify', 'sys/mman', 'sys/mount', 'sys/random', 'sys/resource'],
  ...['sys/sendfile', 'sys/signalfd', 'sys/socket', 'sys/stat', 'sys/swap', 'sys/time', 'sys/timerfd', 'sys/un'],
  ...['sys/wait', 'sys/xattr', 'syslog', 'time', 'unistd', 'linux/vm_sockets'],
].map((name) => `<${name}.h>`);

const prefixes = [
  ...['AF', 'AT', 'CLD', 'CLOCK', 'CLONE', 'CLOSE_RANGE', 'DN', 'DT', 'EFD', 'EPOLL', 'FALLOC_FL', 'FAN', 'FD'],
  ...[
    'FIEMAP',
    'FS',
    'FSCONFIG',
    'FSMOUNT',
    'FSOPEN',
    'FSPICK',
    'FUTEX',
    'GRND',
    'IN',
    'IOPRIO',
    'IPC',
    'IP',
    'IPPROTO',
  ],
  ...[
    'IPV6',
    'ITIMER',
    'KCMP',
    'KEYCTL',
    'KEY_SPEC',
    'LANDLOCK',
    'LINUX_REBOOT',
    'LOCK',
    'MADV',
    'MAP',
    'MCL',
    'MEMBARRIER',
  ],
  ...['MFD', 'MLOCK', 'MNT', 'MOUNT_ATTR', 'MOVE_MOUNT', 'MPOL', 'MREMAP', 'MSG', 'MS', 'NETLINK', 'NS', 'OPEN_TREE'],
  ...['O', 'PACKET', 'PF', 'PIDFD', 'POLL', 'POSIX_FADV', 'PRIO', 'PROT', 'PR', 'P', 'QFMT', 'Q', 'RENAME', 'RESOLVE'],
  ...['RLIMIT', 'RUSAGE', 'RWF', 'SA', 'SCHED', 'SCM', 'SECBIT', 'SEEK', 'SEM', 'SFD', 'SHM', 'SHUT', 'SI', 'SIGEV'],
  ...['SOCK', 'SOL', 'SO', 'SPLICE_F', 'SS', 'STATX', 'ST', 'SWAP_FLAG', 'SYNC_FILE_RANGE', 'S', 'TCP', 'TFD', 'TIMER'],
  ...['UDP', 'UFFD', 'VMADDR', 'XATTR', 'W', 'F', 'R', 'X', 'IOCB', 'IOPRIO_CLASS', 'IOPRIO_WHO'],
];
const named = new RegExp(
  `^(?:(?:${prefixes.join('|')})_[A-Z0-9_]*[A-Z0-9]|SIG[A-Z][A-Z0-9]*|(?:EPOLL|POLL|WNO|TIOC|FIO|FIC|TC|SIOC)[A-Z0-9]+|` +
    `UMOUNT_NOFOLLOW|W(?:UNTRACED|STOPPED|EXITED|CONTINUED)|MAXSYMLINKS|(?:PATH|NAME|PIPE|ARG|XATTR_\\w+|IOV)_(?:MAX|BUF)|[A-Z0-9]+_(?:SUPER_)?MAGIC)$`,
);
// Names that are no constants of the interface: counts, internal bits, sizes of padding and records of signal frames, and
// anything that is not an int.
const refused =
  /^(S_BLKSIZE|SIG(?:RTMAX|STKSZ|_DFL|_ERR)|MINSIGSTKSZ|SA_RESTORER|\w+_H|_.*|IN_(?:CLASS[ABC]|ADDR)\w*|O_LARGEFILE_\w+|MS_NOUSER|FD_SETSIZE|FD_(?:SET|CLR|ISSET|ZERO)|\w+_(?:LAST|RESERVED\w*)|SO_ORIGINAL_DST|UIO_MAXIOV|(?:AF|PF|IPPROTO|SEEK|MPOL|PR_SCHED_CORE)_MAX|F_LINUX_SPECIFIC_BASE|MPOL_MF_(?:INTERNAL|VALID)|FS_POLICY_FLAGS_VALID|SS_FLAG_BITS|(?:SI|SIGEV)_(?:MAX|PAD)_SIZE|TCP_NLA_\w+|XATTR_\w+_PREFIX_LEN|NETLINK_UNUSED|IN_(?:CLASSE\w*|LOOPBACKNET|MULTICAST_NET)|POLL(?:FREE|_BUSY_LOOP)|MS_(?:ACTIVE|BORN|KERNMOUNT|NOREMOTELOCK|NOSEC|SUBMOUNT)|(?:ESR|EXTRA|FPSIMD|FPMR|GCS|POE|SVE|TPIDR2|ZA|ZT)_MAGIC)$/;

const enumerators = (text) =>
  [...text.matchAll(/enum\s*\w*\s*\{([^}]*)\}/g)].flatMap(([, body]) =>
    body.split(',').map((entry) => entry.trim().split(/[\s=]/)[0]),
  );

/** { constants, errors }: name -> number of one architecture, and which names are errors. */
export function readConstants(compiler) {
  const result = new Map();
  const errors = new Set([
    ...compiler.macros('#include <linux/errno.h>').filter((name) => /^E[A-Z0-9]/.test(name)),
    'ENOTSUP',
  ]);
  for (const headers of [libc, kernel]) {
    const prologue = `#define _GNU_SOURCE\n${headers.map((header) => `#include ${header}`).join('\n')}`;
    const names = new Set([...compiler.macros(prologue), ...enumerators(compiler.preprocess(prologue))]);
    const wanted = [...names].filter((name) => errors.has(name) || (named.test(name) && !refused.test(name)));
    const values = compiler.evaluate(
      prologue.replace('#define _GNU_SOURCE\n', ''),
      wanted.map((name) => [name, name]),
    );
    for (const [name, value] of values) {
      if (value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)) {
        result.set(name, Number(value));
      }
    }
  }
  return { constants: result, errors };
}

const sorted = (map) => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));

// Names that only one architecture has. Any other name that is in only one set of headers is newer than the other set, and
// has the same value everywhere.
const oneArchitecture = new Set(['MAP_32BIT', 'MAP_ABOVE4G', 'PROT_BTI', 'PROT_MTE']);

/**
 * The texts of lib/generated/constants-data.ts and constants.ts from { arch: Map }. `headers` names the headers that they
 * were read from.
 */
export function emitConstants(byArch, headers) {
  const [x64, arm64] = [new Map(byArch.x64), new Map(byArch.arm64)];
  for (const [from, to] of [
    [x64, arm64],
    [arm64, x64],
  ]) {
    for (const [name, value] of from) if (!to.has(name) && !oneArchitecture.has(name)) to.set(name, value);
  }
  const shared = new Map([...x64].filter(([name, value]) => arm64.get(name) === value));
  const rest = (map) => new Map([...map].filter(([name]) => !shared.has(name)));
  const both = [...x64.keys()].filter((name) => arm64.has(name)).sort();
  const single = [...new Set([...x64.keys(), ...arm64.keys()])].filter((name) => !x64.has(name) || !arm64.has(name));
  const quoted = (names) => names.sort().map((name) => `'${name}'`);
  const data = `${banner}// Headers: ${headers}
export const shared: string =
  '${JSON.stringify(sorted(shared))}';
export const x64: string =
  '${JSON.stringify(sorted(rest(x64)))}';
export const arm64: string =
  '${JSON.stringify(sorted(rest(arm64)))}';
`;
  const types = `${banner}
type Name =
${wrap(quoted(both), ' | ')};
type OneArchitecture =
${wrap(quoted(single), ' | ')};

/* The number of letters to insert, remove or change to make one word of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

function unknownName(name: string, known: readonly string[]): TypeError {
  let nearest = '';
  let least = Number.POSITIVE_INFINITY;
  for (const other of known) {
    if (Math.abs(other.length - name.length) >= least) continue;
    const steps = distance(name, other);
    if (steps < least) [nearest, least] = [other, steps];
  }
  const error = new TypeError(\`constants has no \${name}. Did you mean \${nearest}?\`);
  return Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' });
}

/* Own properties, so that reading one is a plain property access. Only an unknown name reaches the proxy in the prototype. */
function make(): Record<string, number> {
  const { shared, x64, arm64 } = require('./constants-data') as typeof import('./constants-data');
  const all: Record<string, number> = JSON.parse(shared);
  Object.assign(all, JSON.parse(process.arch === 'arm64' ? arm64 : x64));
  const unknown = new Proxy(Object.prototype, {
    get(target, name, receiver) {
      if (typeof name === 'string' && /^[A-Z][A-Z0-9_]*$/.test(name)) throw unknownName(name, Object.keys(all));
      return Reflect.get(target, name, receiver);
    },
  });
  return Object.freeze(Object.setPrototypeOf(all, unknown));
}

/**
 * The integer constants of the kernel headers, with the values of the running architecture: \`O_*\`, \`AT_*\`, \`STATX_*\`,
 * \`RESOLVE_*\`, \`LOCK_*\`, \`SOCK_*\`, \`E*\` (positive), \`SIG*\` and so on. Bits that C has as unsigned are positive numbers.
 * Frozen. Reading an unknown name throws an ERR_INVALID_ARG_VALUE with the nearest known name; \`name in constants\` shows whether
 * a name is known.
 *
 * @example
 * constants.O_RDONLY | constants.O_CLOEXEC
 */
export const constants = make() as { readonly [name in Name]: number } & {
  readonly [name in OneArchitecture]?: number;
};
`;
  return { data, types };
}

/** The first line of constants-data.ts, which names its headers, and its values. */
export function parseConstants(text) {
  const [shared, x64, arm64] = [...text.matchAll(/^export const \w+: string =\n {2}'(\{.*\})';$/gm)].map((match) =>
    JSON.parse(match[1]),
  );
  return {
    headers: /^\/\/ Headers: (.*)$/m.exec(text)?.[1],
    x64: { ...shared, ...x64 },
    arm64: { ...shared, ...arm64 },
  };
}
