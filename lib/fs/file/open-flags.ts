/* The flags and the mode of open(2), written as in node:fs. */
import { constants as node } from 'node:fs';
import { checkInteger, invalidArgValue } from '../../errors';

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = node;

const kBases: Readonly<Record<string, [alone: number, plus: number]>> = {
  r: [O_RDONLY, O_RDWR],
  w: [O_WRONLY | O_CREAT | O_TRUNC, O_RDWR | O_CREAT | O_TRUNC],
  a: [O_WRONLY | O_CREAT | O_APPEND, O_RDWR | O_CREAT | O_APPEND],
};
/* A second letter and the first letters that it goes with: `x` fails where the file exists, `s` is synchronous. */
const kExtras: Readonly<Record<string, [extra: number, allowed: string]>> = { x: [O_EXCL, 'wa'], s: [O_SYNC, 'ra'] };

/**
 * The flags of open(2) for 'r', 'wx+' and so on. A number is taken as it is; undefined and null mean reading.
 *
 * @throws ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function openFlags(flags: unknown, name = 'flags'): number {
  if (flags === undefined || flags === null) return O_RDONLY;
  if (typeof flags === 'number') return checkInteger(flags, name, -0x80000000, 0x7fffffff);
  if (typeof flags !== 'string') throw invalidArgValue(name, 'is invalid', flags);
  const match = /^(?:([rwa])([xs]?)|([xs])([rwa]))(\+?)$/.exec(flags);
  const letter = match?.[1] ?? match?.[4];
  if (match === null || letter === undefined) throw invalidArgValue(name, 'is invalid', flags);
  const base = kBases[letter]![match[5] === '+' ? 1 : 0];
  const beside = match[2] || match[3];
  if (!beside) return base;
  const [extra, allowed] = kExtras[beside]!;
  if (!allowed.includes(letter)) throw invalidArgValue(name, 'is invalid', flags);
  return base | extra;
}

/**
 * The permissions of a new file: a number, or a string of octal digits; `unset` for undefined and null.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function fileMode(mode: unknown, unset: number, name = 'mode'): number {
  const given = mode ?? unset;
  if (typeof given === 'string') {
    if (!/^[0-7]+$/.test(given))
      throw invalidArgValue(name, 'must be a 32-bit unsigned integer or an octal string', given);
    return checkInteger(Number.parseInt(given, 8), name, 0, 0xffffffff);
  }
  return checkInteger(given, name, 0, 0xffffffff);
}
