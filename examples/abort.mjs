// A read from a pipe that nobody writes to, ended by an AbortSignal. Usage: node examples/abort.mjs
import { syscall } from 'acall';

const ends = new Int32Array(2);
await syscall('pipe2', [ends, 0]);
const controller = new AbortController();
const buffer = Buffer.alloc(16);
const reading = syscall('read', [ends[0], buffer, buffer.length], { signal: controller.signal });

setTimeout(() => controller.abort(new Error('enough')), 100);
const started = performance.now();
try {
  await reading;
} catch (error) {
  console.log(error.name, error.cause.message, `after ${Math.round(performance.now() - started)} ms`);
}
// The thread is free again, and nothing was taken from the pipe.
await syscall('write', [ends[1], Buffer.from('still there'), 11]);
const length = await syscall('read', [ends[0], buffer, buffer.length]);
console.log(buffer.subarray(0, length).toString());
await Promise.all([...ends].map((fd) => syscall('close', [fd])));
