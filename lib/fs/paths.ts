/* Paths as Node takes them: string, Buffer or file URL, without null bytes. */
import { fileURLToPath } from 'node:url';
import { types } from 'node:util';
import { invalidArgType, invalidArgValue } from '../errors';

/** A path as Node's fs takes it. */
export type PathLike = string | Buffer | Uint8Array | URL;

/* What Node takes for a URL, of whatever realm: it looks at the properties and not at the class. */
function isUrl(path: unknown): path is URL {
  if (path === null || typeof path !== 'object') return false;
  const { href, protocol, auth, path: old } = path as Record<string, unknown>;
  return Boolean(href && protocol && auth === undefined && old === undefined);
}

/** A path as text. Bytes that are no UTF-8 need {@link pathBytes}. */
export function pathText(path: unknown, name = 'path'): string {
  if (typeof path === 'string') {
    if (path.includes('\0'))
      throw invalidArgValue(name, 'must be a string, Uint8Array, or URL without null bytes', path);
    return path;
  }
  if (isUrl(path)) return pathText(fileURLToPath(path), name);
  if (types.isUint8Array(path)) {
    const text = Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString();
    return pathText(text, name);
  }
  throw invalidArgType(name, 'of type string or an instance of Buffer or URL', path);
}

/** A path for the kernel: text stays text, bytes stay the bytes they are. */
export function pathArgument(path: unknown, name = 'path'): string | Uint8Array {
  if (!types.isUint8Array(path)) return pathText(path, name);
  if (path.includes(0)) throw invalidArgValue(name, 'must be a string, Uint8Array, or URL without null bytes', path);
  return path;
}

/** Whether a path's bytes survive being text: false for names that are not UTF-8. */
export function isText(path: string | Uint8Array): boolean {
  return typeof path === 'string' || Buffer.from(Buffer.from(path).toString()).equals(path);
}

/** A path for the kernel through `syscall`: text, or bytes with a NUL at their end. */
export function terminated(path: string | Uint8Array): string | Uint8Array {
  return typeof path === 'string' ? path : Buffer.concat([path, Buffer.alloc(1)]);
}

/** A path for an error's message. */
export function shownPath(path: string | Uint8Array): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString();
}
