/* The AsyncLocalStorage context of a caller's callback. */
import type * as asyncHooks from 'node:async_hooks';

/** Binds a callback to the current AsyncLocalStorage context. acall calls it later, from a turn that has no context. */
export function inContext<Callback extends (...args: never[]) => void>(
  callback: Callback | undefined,
): Callback | undefined {
  if (callback === undefined) return undefined;
  const { AsyncResource } = require('node:async_hooks') as typeof asyncHooks;
  return AsyncResource.bind(callback as never) as unknown as Callback;
}
