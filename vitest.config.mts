import { defineConfig } from 'vitest/config';

/**
 * One project per folder of test/. All but `package` belong to `npm test`; `package` packs and installs a tarball and
 * is run by `npm run package:check`. Every file has a process of its own: the addon's engine lives as long as its process.
 * Tests import 'acall', the built package by self-reference; dist/ is loaded by Node itself, not by vite.
 */
const project = (name: string, testTimeout: number) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout,
    hookTimeout: testTimeout,
  },
});

const jsonReport = process.env.ACALL_TEST_REPORT;

export default defineConfig({
  test: {
    pool: 'forks',
    globalSetup: 'test/support/temporary.ts',
    expect: { requireAssertions: true }, // a test that asserts nothing fails
    server: { deps: { external: [/\/dist\//] } },
    reporters: jsonReport ? ['default', ['json', { outputFile: jsonReport }]] : ['default'],
    projects: [
      project('unit', 30_000),
      project('addon', 60_000),
      project('lifecycle', 120_000),
      project('stress', 600_000),
      project('package', 300_000),
    ],
  },
});
