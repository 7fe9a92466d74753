// The four calls by hand: submissions in an arena, completions in a ring, a wait that blocks and one that does not.
// Usage: node examples/ring.mjs
import {
  ACALL_SUBMIT_THREAD_POOL,
  AcallCompletionRing,
  AcallId,
  AcallSubmission,
  Arena,
  acall_cancel,
  acall_ring_pwait,
  acall_submit,
  addressOf,
  constants,
  SYS,
} from 'acall';

const arena = new Arena();
const ring = new AcallCompletionRing(arena, 64);

function submission(cookie, nr, ...args) {
  const entry = new AcallSubmission(arena);
  entry.nr = nr;
  entry.flags = ACALL_SUBMIT_THREAD_POOL;
  entry.cookie = cookie;
  entry.completion_ring_pointer = ring.address;
  args.forEach((value, i) => {
    entry.args[i] = BigInt(value);
  });
  return entry;
}

// Open a file, see its descriptor come back.
const path = arena.cstring('/etc/hostname');
const open = submission(1n, SYS.openat, constants.AT_FDCWD, addressOf(path), constants.O_RDONLY);
console.log('accepted', acall_submit([open]));
console.log('stored', acall_ring_pwait(ring, 0, 1)); // blocks this thread
let fd = -1;
ring.drain((cookie, return_code) => {
  console.log('completed', cookie, return_code);
  fd = Number(return_code);
});

// Read from it, without blocking the event loop.
const buffer = arena.alloc(64);
acall_submit([submission(2n, SYS.read, fd, addressOf(buffer), buffer.length)]);
await ring.wait();
ring.drain((_cookie, length) =>
  console.log(
    'read',
    Buffer.from(buffer.slice(0, Number(length)))
      .toString()
      .trim(),
  ),
);
acall_submit([submission(3n, SYS.close, fd)]);
await ring.wait();
ring.drain(() => {});

// A call that would block for ever, and its end.
const id = new AcallId(arena);
const pause = submission(4n, SYS.pause ?? SYS.ppoll, 0, 0, 0, 0);
pause.id_pointer = id.address;
acall_submit([pause]);
console.log('cancel', acall_cancel(id));
await ring.wait();
ring.drain((cookie, return_code) => console.log('completed', cookie, return_code)); // -4 EINTR or -125 ECANCELED
