/* How the command shows files: type names, modes, colours. */
import type { BigIntStats, Stats } from 'node:fs';
import { paint } from './output';

interface Typed {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isCharacterDevice(): boolean;
  isBlockDevice(): boolean;
}

/** The name of a type: file, directory, symlink, fifo, socket, character, block or unknown. */
export function typeOf(entry: Typed): string {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  if (entry.isSymbolicLink()) return 'symlink';
  if (entry.isFIFO()) return 'fifo';
  if (entry.isSocket()) return 'socket';
  if (entry.isCharacterDevice()) return 'character';
  if (entry.isBlockDevice()) return 'block';
  return 'unknown';
}

const kLetters: Record<string, string> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  character: 'c',
  block: 'b',
  unknown: '?',
}; // prettier-ignore

/** A mode as ls shows it: `drwxr-xr-t`. */
export function modeText(type: string, mode: number): string {
  const triple = (shift: number, special: number, letter: string): string => {
    const bits = (mode >> shift) & 7;
    const execute = (bits & 1) !== 0;
    const last = (mode & special) === 0 ? (execute ? 'x' : '-') : execute ? letter : letter.toUpperCase();
    return (bits & 4 ? 'r' : '-') + (bits & 2 ? 'w' : '-') + last;
  };
  return kLetters[type]! + triple(6, 0o4000, 's') + triple(3, 0o2000, 's') + triple(0, 0o1000, 't');
}

/** A name in the colour of its type. */
export function nameText(name: string, type: string, mode = 0): string {
  if (type === 'directory') return paint(['bold', 'blue'], name);
  if (type === 'symlink') return paint('cyan', name);
  if (type === 'file') return mode & 0o111 ? paint('green', name) : name;
  return paint('yellow', name);
}

/** The numeric fields of Stats, for --json. JSON has no bigints, so those are left out. */
export function numbersOf(stats: Stats | BigIntStats): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const [field, value] of Object.entries(stats)) if (typeof value === 'number') numbers[field] = value;
  return numbers;
}

/** A name for a terminal: control characters become escapes, because a name may contain anything. */
export function printable(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return name.replace(/[\x00-\x1f\x7f]/g, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
