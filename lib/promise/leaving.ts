/*
 * Ops whose promises are rejected while the kernel still has their calls. For 50 ms such an op keeps the event loop alive: most
 * calls return by then, and may have to clean up (a temporary file, for instance). Then it does not, because the call may stay in
 * the kernel for ever. A Worker waits as long at its end.
 */
import { native } from '../native';
import { emitWarning, setTimeout } from '../timers';
import { type Op, Phase } from './op';

/** How long an aborted op still keeps the event loop alive, and a close waits for it: as long as a Worker waits at its end. */
export const kLeaveAfterMs = 50;
const kTaken =
  'acall: the signal for cancelling has got another handler; calls that are aborted end only when the kernel ends them. ' +
  'Choose another signal with ACALL_SIGNAL=35..64';

let abandoned: Op[] = []; // since the last timer
let hasWarned = false;

function leave(): void {
  const ops = abandoned;
  abandoned = [];
  const slots = new Uint32Array(ops.length);
  let count = 0;
  for (const op of ops) if (op.phase === Phase.abandoned) slots[count++] = op.slot;
  if (count === 0) return;
  native.leaveSlots(slots, count);
  if (hasWarned || native.hasSignal()) return;
  hasWarned = true;
  emitWarning(kTaken, { code: 'ERR_ACALL_SIGNAL' });
}

/** Lets an op that has just been abandoned keep the event loop for 50 ms more. */
export function leaveLater(op: Op): void {
  if (op.referenced && abandoned.push(op) === 1) setTimeout(leave, kLeaveAfterMs).unref();
}
