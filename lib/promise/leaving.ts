/*
 * Ops whose promises are rejected while the kernel still has them. What the kernel does not let go of must not keep the
 * process; what comes back does so soon, and may have something to clean up (a temporary file): as long as a Worker waits
 * at its end.
 */
import { native } from '../native';
import { emitWarning, setTimeout } from '../timers';
import { type Op, Phase } from './op';

const kLeaveAfterMs = 50; // from the abort to where the loop does not wait for the kernel
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

/** An op that has just been given up: soon it will not keep the event loop. */
export function leaveLater(op: Op): void {
  if (op.referenced && abandoned.push(op) === 1) setTimeout(leave, kLeaveAfterMs).unref();
}
