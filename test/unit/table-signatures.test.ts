/** Signatures as their man pages have them. */
import { describe, expect, it } from 'vitest';
import { signatureOf, syscallName } from '../../dist/call/signature.js';
import { type Arch, data, describeArgs, resolveRule } from './support/table';

const pages: Record<string, string> = {
  read: 'fd:fd buf:out bytes(count*1) count:long',
  write: 'fd:fd buf:in bytes(count*1) count:long',
  pread64: 'fd:fd buf:out bytes(count*1) count:long offset:long',
  openat: 'dirfd:dirfd path:in path(4096) flags:int mode:uint',
  openat2: 'dirfd:dirfd path:in path(4096) how:in bytes(size*1) copied size:long',
  close: 'fd:fd',
  statx: 'dirfd:dirfd path:in path(4096) flags:uint mask:uint statxbuf:out fixed(256)',
  getdents64: 'fd:fd dirp:out bytes(count*1) count:uint',
  readlinkat: 'dirfd:dirfd path:in path(4096) buf:out bytes(bufsiz*1) bufsiz:int',
  renameat2: 'olddirfd:dirfd oldpath:in path(4096) newdirfd:dirfd newpath:in path(4096) flags:uint',
  linkat: 'olddirfd:dirfd oldpath:in path(4096) newdirfd:dirfd newpath:in path(4096) flags:int',
  symlinkat: 'target:in path(4096) newdirfd:dirfd linkpath:in path(4096)',
  utimensat: 'dirfd:dirfd path:in path(4096) times:in fixed(32) flags:int',
  fallocate: 'fd:fd mode:int offset:long len:long',
  flock: 'fd:fd operation:uint',
  copy_file_range: 'fd_in:fd off_in:inout fixed(8) fd_out:fd off_out:inout fixed(8) len:long flags:uint',
  sendfile: 'out_fd:fd in_fd:fd offset:inout fixed(8) count:long',
  readv: 'fd:fd iov:out iovec(iovcnt*16) copied iovcnt:uint',
  pwritev2: 'fd:fd iov:in iovec(iovcnt*16) copied iovcnt:uint pos_l:long pos_h:long flags:uint',
  vmsplice: 'fd:fd iov:inout iovec(nr_segs*16) copied nr_segs:uint flags:uint',
  pipe2: 'pipefd:out fixed(8) fds flags:int',
  socketpair: 'domain:int type:int protocol:int sv:out fixed(8) fds',
  accept4: 'sockfd:fd addr:out lenBytes(addrlen*1) addrlen:inout lenWord(4) copied flags:int',
  recvfrom:
    'sockfd:fd buf:out bytes(len*1) len:long flags:uint src_addr:out lenBytes(addrlen*1) addrlen:inout lenWord(4) copied',
  sendto: 'sockfd:fd buf:in bytes(len*1) len:long flags:uint dest_addr:in bytes(addrlen*1) addrlen:int',
  recvmsg: 'sockfd:fd msg:out msghdr(56) copied fds flags:uint',
  sendmsg: 'sockfd:fd msg:in msghdr(56) copied flags:uint',
  poll: 'fds:inout bytes(nfds*8) nfds:uint timeout:int',
  ppoll:
    'fds:inout bytes(nfds*8) nfds:uint timeout:inout fixed(16) timeout sigmask:in sigset(sigsetsize*1) copied sigsetsize:long',
  pselect6:
    'nfds:int readfds:inout bits(nfds*8) writefds:inout bits(nfds*8) exceptfds:inout bits(nfds*8) ' +
    'timeout:inout fixed(16) timeout sigmask:in sigsetPack(16) copied',
  epoll_ctl: 'epfd:fd op:int fd:fd event:in fixed(12)',
  epoll_wait: 'epfd:fd events:out bytes(maxevents*12) maxevents:int timeout:int',
  nanosleep: 'req:in fixed(16) rem:out fixed(16)',
  wait4: 'pid:int wstatus:out fixed(4) options:int rusage:out fixed(144)',
  waitid: 'idtype:int id:int infop:out fixed(128) options:int rusage:out fixed(144)',
  getxattr: 'path:in path(4096) name:in string(256) value:out bytes(size*1) size:long',
  setxattr: 'path:in path(4096) name:in string(256) value:in bytes(size*1) size:long flags:int',
  msgsnd: 'msqid:int msgp:in bytes(8+msgsz*1) msgsz:long msgflg:int',
  semtimedop: 'semid:int sops:in bytes(nsops*6) nsops:uint timeout:in fixed(16) timeout',
  prlimit64: 'pid:int resource:uint new_limit:in fixed(16) old_limit:out fixed(16)',
  name_to_handle_at: 'dirfd:dirfd path:in path(4096) handle:inout sized(8+136) copied mount_id:out fixed(4) flags:int',
  getrandom: 'buf:out bytes(buflen*1) buflen:long flags:uint',
  uname: 'buf:out fixed(390)',
  statfs: 'path:in path(4096) buf:out fixed(120)',
  mincore: 'addr:long length:long vec:out pages(length*1)',
  getppid: '',
};

describe('signatures', () => {
  for (const [name, expected] of Object.entries(pages)) {
    it(`${name}(${expected})`, () => {
      const { calls } = data.x64;
      // `sized` has no counting argument; show what is added and the most.
      const shown = describeArgs(calls[name]!).replace('sized(136)', 'sized(8+136)');
      // Relative time-outs given as int are marked like the others.
      expect(shown.replace(/timeout:int timeout$/, 'timeout:int')).toBe(expected);
    });
  }

  it('have the sizes of the architecture', () => {
    expect(describeArgs(data.x64.calls.newfstatat!)).toContain('statbuf:out fixed(144)');
    expect(describeArgs(data.arm64.calls.newfstatat!)).toContain('statbuf:out fixed(128)');
    expect(describeArgs(data.arm64.calls.epoll_ctl!)).toContain('event:in fixed(16)');
  });

  it('of a case replace those of the call', () => {
    const [F_SETLK, FUTEX_WAIT, FUTEX_WAKE, PRIVATE, FSCONFIG_SET_STRING, IPC_STAT] = [6, 0, 1, 128, 1, 2];
    expect(describeArgs(resolveRule('x64', 'fcntl', { 1: F_SETLK }))).toBe('fd:fd cmd:uint arg:in fixed(32)');
    expect(describeArgs(resolveRule('x64', 'futex', { 1: FUTEX_WAIT | PRIVATE }))).toContain(
      'timeout:in fixed(16) timeout',
    );
    expect(describeArgs(resolveRule('x64', 'futex', { 1: FUTEX_WAKE | PRIVATE }))).toContain('timeout:long');
    expect(describeArgs(resolveRule('x64', 'fsconfig', { 1: FSCONFIG_SET_STRING }))).toContain('value:in string(256)');
    expect(describeArgs(resolveRule('x64', 'shmctl', { 1: IPC_STAT }))).toBe('shmid:int cmd:int buf:out fixed(112)');
  });

  it('do not run a call again that would wait longer, or that has happened', () => {
    const rerun = (name: string) => (data.x64.calls[name]![1] & 8) !== 0;
    expect(['read', 'openat', 'flock', 'epoll_wait', 'accept4', 'statx'].filter((name) => !rerun(name))).toEqual([]);
    expect(['close', 'connect', 'nanosleep', 'rename', 'unlink', 'mkdir', 'pause'].filter(rerun)).toEqual([]);
    expect(describeArgs(data.x64.calls.epoll_wait!)).toContain('timeout:int');
    expect(data.x64.calls.epoll_wait![2][3]![2]! & 16).toBe(16);
  });
});

describe('signatureOf', () => {
  it('finds the case that the arguments choose', () => {
    const call = signatureOf('fcntl', [3, 6, new Uint8Array(32)])!;
    expect(call.nr).toBe(signatureOf('fcntl', [])!.nr);
    expect(call.args[2]!.size).toBe(32);
    expect(signatureOf('fcntl', [3, 1n])!.args[2]!.size).toBe(0);
  });

  it('knows no names of Object.prototype and no calls that do not exist', () => {
    for (const name of ['nope', 'toString', '__proto__', 'constructor', ''])
      expect(signatureOf(name, [])).toBeUndefined();
  });

  it('names a number', () => {
    const { nr } = signatureOf('openat', [])!;
    expect(syscallName(nr)).toBe('openat');
    expect(syscallName(100_000)).toBeUndefined();
  });

  it('covers every call of the running architecture', () => {
    for (const name of Object.keys(data[process.arch as Arch].calls)) expect(signatureOf(name, [])!.name).toBe(name);
  });
});
