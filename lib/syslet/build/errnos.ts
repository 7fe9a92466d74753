/* Error numbers by name. */
import { constants as os } from 'node:os';
import { invalidArgType, invalidArgValue } from '../../errors';
import { errnoName } from '../../generated/errno';
import { Wire } from '../../generated/wire';

/** The negative error number for a name: -2 for 'ENOENT'. It knows the names of node:os and of the kernel headers. */
export function errnoNumber(name: unknown): number {
  if (typeof name !== 'string') throw invalidArgType('error', 'of type string', name);
  const known = (os.errno as Record<string, number>)[name];
  if (known !== undefined) return -known;
  for (let errno = 1; errno < Wire.maxErrno; errno++) if (errnoName(errno) === name) return -errno;
  throw invalidArgValue('error', "must be the name of an error, as 'ENOENT'", name);
}
