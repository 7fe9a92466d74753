/** Says loudly why a test does not run here; for `it.skipIf(skip(...))`. */
export function skip(condition: boolean, why: string): boolean {
  if (condition) console.warn(`SKIPPED ${why}`);
  return condition;
}
