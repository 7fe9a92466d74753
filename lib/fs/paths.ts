/* Paths as Node takes them: string, Buffer or file URL, without null bytes. */
import { fileURLToPath } from 'node:url';
import { types } from 'node:util';
import { invalidArgType, invalidArgValue } from '../errors';

/** A path as node:fs takes it: a string, bytes, or a file URL. */
export type PathLike = string | Buffer | Uint8Array | URL;

const kNoNul = 'must be a string, Uint8Array, or URL without null bytes';

/* Whether Node would take the value for a URL: of any realm, because its properties decide and not its class. */
function isUrl(path: unknown): path is URL {
  const { href, protocol, auth, path: old } = path as Record<string, unknown>;
  return Boolean(href && protocol && auth === undefined && old === undefined);
}

/**
 * Checks a path and returns it for the kernel: a string stays a string, bytes stay as they are, a URL becomes a string.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for a NUL inside, and what url.fileURLToPath() throws
 */
export function pathArgument(path: unknown, name = 'path'): string | Uint8Array {
  if (typeof path === 'string') {
    if (path.includes('\0')) throw invalidArgValue(name, kNoNul, path);
    return path;
  }
  if (types.isUint8Array(path)) {
    if (path.includes(0)) throw invalidArgValue(name, kNoNul, path);
    return path;
  }
  if (path !== null && typeof path === 'object' && !types.isProxy(path) && isUrl(path)) {
    return pathArgument(fileURLToPath(path), name);
  }
  throw invalidArgType(name, 'of type string or an instance of Buffer or URL', path);
}

/** {@link pathArgument} for a path that is used later: the caller's bytes are copied, because they may change. */
export function ownPath(path: unknown, name = 'path'): string | Uint8Array {
  const argument = pathArgument(path, name);
  return typeof argument === 'string' ? argument : new Uint8Array(argument);
}

/** A path as `syscall` takes it: a string, or bytes with a NUL at the end. */
export function terminated(path: string | Uint8Array): string | Uint8Array {
  return typeof path === 'string' ? path : Buffer.concat([path, Buffer.alloc(1)]);
}

/** A path as text, for an error. */
export function shownPath(path: string | Uint8Array): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString();
}
