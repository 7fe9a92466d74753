/* Paths as Node takes them: string, Buffer or file URL, without null bytes. */
import { fileURLToPath } from 'node:url';
import { types } from 'node:util';
import { invalidArgType, invalidArgValue } from '../errors';

/** A path as Node's fs takes it. */
export type PathLike = string | Buffer | Uint8Array | URL;

const kNoNul = 'must be a string, Uint8Array, or URL without null bytes';

/* What Node takes for a URL, of whatever realm: it looks at the properties and not at the class. */
function isUrl(path: unknown): path is URL {
  const { href, protocol, auth, path: old } = path as Record<string, unknown>;
  return Boolean(href && protocol && auth === undefined && old === undefined);
}

/** A path for the kernel: text stays text, bytes stay the bytes they are. */
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

/** A path that is used later: bytes of the caller's are copied, because they may change meanwhile. */
export function ownPath(path: unknown, name = 'path'): string | Uint8Array {
  const argument = pathArgument(path, name);
  return typeof argument === 'string' ? argument : new Uint8Array(argument);
}

/** A path for the kernel through `syscall`: text, or bytes with a NUL at their end. */
export function terminated(path: string | Uint8Array): string | Uint8Array {
  return typeof path === 'string' ? path : Buffer.concat([path, Buffer.alloc(1)]);
}

/** A path for an error's message. */
export function shownPath(path: string | Uint8Array): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString();
}
