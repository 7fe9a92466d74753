/* Callbacks of the caller that we call later, from a turn of our own. */
import type * as asyncHooks from 'node:async_hooks';

/** The callback in the AsyncLocalStorage context of now: a turn of ours has none. */
export function inContext<Callback extends (...args: never[]) => void>(
  callback: Callback | undefined,
): Callback | undefined {
  if (callback === undefined) return undefined;
  const { AsyncResource } = require('node:async_hooks') as typeof asyncHooks;
  return AsyncResource.bind(callback as never) as unknown as Callback;
}
