/* What `require('acall/syslet')` and `import 'acall/syslet'` give. */
export {
  SYSLET_ASYNC,
  SYSLET_NO_COMPLETE,
  SYSLET_NR_UMEM_ADD,
  SYSLET_SKIP_TO_NEXT_ON_STOP,
  SYSLET_STOP_ON_NEGATIVE,
  SYSLET_STOP_ON_NON_POSITIVE,
  SYSLET_STOP_ON_NONZERO,
  SYSLET_STOP_ON_ZERO,
  SYSLET_SYNC,
} from '../generated/layout';
export { SysletAtom } from './atom';
export type {
  ProgramArgs,
  ProgramBuilder,
  ProgramLoop,
} from './builder';
export type { DescriptorCall } from './descriptor-calls';
export type { CallOptions, StopOn } from './emitter';
export { async_exec, async_wait } from './exec';
export type { HandlesOf, InputKind, InputsOf } from './inputs';
export { Program, type ProgramOptions } from './program';
export {
  type ProgramDone,
  ProgramError,
  type ProgramResult,
  type ProgramStopped,
  type ResultPart,
  type ValuesOf,
} from './results';
export type {
  BytesResult,
  Condition,
  Operand,
  ProgramBytes,
  ProgramData,
  ProgramDescriptor,
  ProgramText,
  ProgramTexts,
  ProgramValue,
  ProgramVariable,
  WideResult,
} from './values';
