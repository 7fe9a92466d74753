/* Which calls give a descriptor, for the types of `call`. */
import type { SyscallName } from '../../generated/syscalls';

/** Calls whose result is a descriptor. */
export type DescriptorCall = Extract<
  SyscallName,
  | 'accept'
  | 'accept4'
  | 'creat'
  | 'dup'
  | 'epoll_create'
  | 'epoll_create1'
  | 'eventfd'
  | 'eventfd2'
  | 'fanotify_init'
  | 'fsmount'
  | 'fsopen'
  | 'fspick'
  | 'inotify_init'
  | 'inotify_init1'
  | 'io_uring_setup'
  | 'memfd_create'
  | 'memfd_secret'
  | 'mq_open'
  | 'open'
  | 'open_by_handle_at'
  | 'open_tree'
  | 'open_tree_attr'
  | 'openat'
  | 'openat2'
  | 'perf_event_open'
  | 'pidfd_getfd'
  | 'pidfd_open'
  | 'socket'
  | 'timerfd_create'
  | 'userfaultfd'
>; // prettier-ignore
