// Counts a vitest report: prints "PASSED FAILED SKIPPED NAME" for .ci/run's list, and on stderr each skipped test by its name.
// Usage: node .ci/count.mjs REPORT NAME
import { readFileSync } from 'node:fs';

const [file, name] = process.argv.slice(2);
const report = JSON.parse(readFileSync(file, 'utf8'));
const kinds = { passed: 0, failed: 0, skipped: 0 };
for (const { assertionResults, name: path, status } of report.testResults) {
  // A file that fails outside of its tests counts as failed, also when all of its tests passed.
  if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) kinds.failed++;
  for (const test of assertionResults) {
    if (test.status === 'passed' || test.status === 'failed') kinds[test.status]++;
    else {
      kinds.skipped++;
      console.error(`SKIPPED  ${path.replace(/^.*\/test\//, 'test/')}: ${test.fullName}`);
    }
  }
}
console.log(kinds.passed, kinds.failed, kinds.skipped, name);
