/* Programs of async-stat.test.ts: processes that nothing but lookups or a wait for them may keep alive. */
const { async_stat, StatBuffer, wait_for_async } = require('acall');

const buffer = new StatBuffer();

async function waited() {
  async_stat('/etc', buffer);
  await wait_for_async();
  return buffer.error;
}

function notWaited() {
  async_stat('/etc', buffer);
}

function waitedUnreferenced() {
  for (let i = 0; i < 200_000; i++) async_stat('/etc', buffer);
  void wait_for_async({ ref: false }).then(() => console.log('never'));
}

module.exports = { waited, notWaited, waitedUnreferenced };
