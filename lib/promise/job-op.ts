/* JobOp: an op whose work is a job of the core (native/core/jobs). */
import { JobOption } from '../generated/wire';
import { type JobHandle, native } from '../native';
import { Op, Phase } from './op';

/** An op that begins a job of the core with its slot, and cancels the job through the job's handle. */
export abstract class JobOp<Result, Job extends JobHandle> extends Op {
  protected readonly resolve: (result: Result) => void;
  protected readonly fail: (error: Error) => void;
  /** Undefined until the job has begun. */
  protected job: Job | undefined;

  constructor(resolve: (result: Result) => void, reject: (error: Error) => void) {
    super();
    this.resolve = resolve;
    this.fail = reject;
  }

  /** Begins the job with this op's slot. `option` is JobOption.unreferenced or 0. Null: no memory or no thread. */
  protected abstract begin(option: number): Job | null;

  /** Called when the job has begun. */
  protected begun(): void {}

  override goesAlone(): boolean {
    return true;
  }

  override submit(): boolean {
    const job = this.begin(this.referenced ? 0 : JobOption.unreferenced);
    if (job === null) return false;
    this.job = job;
    this.phase = Phase.submitted;
    this.begun();
    return true;
  }

  override reject(error: Error): void {
    this.fail(error);
  }

  override cancel(): boolean {
    native.jobCancel(this.job!);
    return true;
  }
}
