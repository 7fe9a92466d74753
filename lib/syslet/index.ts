/* The exports of 'acall/syslet'. */
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
export type { DescriptorCall } from '../generated/syscalls';
export type {
  ProgramArgs,
  ProgramBuilder,
  ProgramLoop,
} from './build/builder';
export type { CallOptions, StopOn } from './build/emitter';
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
} from './build/values';
export { SysletAtom } from './run/atom';
export { async_exec, async_wait } from './run/exec';
export type { HandlesOf, InputKind, InputsOf } from './run/inputs';
export { Program, type ProgramOptions } from './run/program';
export {
  type ProgramDone,
  ProgramError,
  type ProgramResult,
  type ProgramStopped,
  type ResultPart,
  type ValuesOf,
} from './run/results';
