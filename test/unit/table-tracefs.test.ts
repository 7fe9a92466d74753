/** The running kernel's own list of its calls (tracefs) against the table: argument counts, and which are pointers. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgKind } from '../../dist/generated/syscalls.js';
import { type Arch, data } from './support/table';

const events = 'events/syscalls';
let folder = '/sys/kernel/tracing';
let mounted: string | undefined;

const readable = (path: string) => {
  try {
    return readdirSync(join(path, events)).some((name) => name.startsWith('sys_enter_'));
  } catch {
    return false;
  }
};

beforeAll(() => {
  if (readable(folder)) return;
  mounted = mkdtempSync(join(tmpdir(), 'acall-tracefs-'));
  spawnSync('mount', ['-t', 'tracefs', 'nodev', mounted]);
  folder = mounted;
});

afterAll(() => {
  if (!mounted) return;
  spawnSync('umount', [mounted]);
  rmdirSync(mounted);
});

// The kernel's function is named otherwise than the number.
const renamed: Record<string, string> = {
  newstat: 'stat',
  newlstat: 'lstat',
  newfstat: 'fstat',
  newuname: 'uname',
  umount: 'umount2',
  sendfile64: 'sendfile',
};

// Where the kernel's declaration says less, or more, than what it does.
const pointersThatDiffer: Record<string, Record<string, string>> = {
  shmat: { shmaddr: 'an address, never dereferenced' },
  shmdt: { shmaddr: 'an address, never dereferenced' },
  futex: { timeout: 'a number for some operations: each has its rule', uaddr2: 'likewise' },
  semctl: { arg: 'a union: each command has its rule' },
};

interface Event {
  name: string;
  args: { type: string; name: string; pointer: boolean }[];
}

function readEvents(): Event[] {
  return readdirSync(join(folder, events))
    .filter((name) => name.startsWith('sys_enter_'))
    .map((name) => {
      const format = readFileSync(join(folder, events, name, 'format'), 'utf8');
      const fields = [...format.matchAll(/^\tfield:(.+?)(\w+);/gm)].map(([, type, field]) => ({
        type: type!.trim(),
        name: field!,
        pointer: /\*|^(const )?cap_user_(header|data)_t$/.test(type!.trim().replace(/\s*\*/g, '*')),
      }));
      const short = name.slice('sys_enter_'.length);
      return {
        name: renamed[short] ?? short,
        args: fields.slice(fields.findIndex((f) => f.name === '__syscall_nr') + 1),
      };
    });
}

describe('tracefs', () => {
  it('agrees with the table about every call that the running kernel lists', ({ skip }) => {
    if (!readable(folder))
      return skip('SKIPPED: tracefs cannot be mounted here (needs root and CONFIG_FTRACE_SYSCALLS)');
    const { calls } = data[process.arch as Arch];
    const list = readEvents();
    expect(list.length).toBeGreaterThan(250);
    const disagreements: string[] = [];
    for (const { name, args } of list) {
      const rule = calls[name];
      if (!rule) {
        disagreements.push(`${name}: not in the table`);
        continue;
      }
      if (rule[2].length !== args.length) {
        disagreements.push(`${name}: ${rule[2].length} arguments, the kernel has ${args.length}`);
        continue;
      }
      for (const [index, [ours, kind = 0]] of rule[2].entries()) {
        const isPointer = kind >= ArgKind.path;
        if (isPointer === args[index]!.pointer || pointersThatDiffer[name]?.[ours]) continue;
        disagreements.push(
          `${name}: ${ours} is ${isPointer ? 'a' : 'no'} pointer, the kernel has ${args[index]!.type}`,
        );
      }
    }
    expect(disagreements).toEqual([]);
  });
});
