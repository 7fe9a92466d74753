// The versions of glibc's functions that the addon needs: of each the oldest one that does the same, so that an addon
// that was built on a new system runs on an old one. binding.gyp includes this file in front of every source of the
// addon. The tests of the core do not need it, and sanitizers replace these functions by their plain names. `npm run
// package:check` fails when the addon needs more than GLIBC_2.28. No code, no lock.
#ifndef ACALL_BINDING_GLIBC_H_
#define ACALL_BINDING_GLIBC_H_

#include <features.h>

#ifdef __GLIBC__

#if defined(__x86_64__)
#define ACALL_OLDEST_GLIBC "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define ACALL_OLDEST_GLIBC "GLIBC_2.17"
#endif

#define ACALL_OLDEST(now, then) __asm__(".symver " #now ", " #then "@" ACALL_OLDEST_GLIBC)

// Moved from libpthread to libc in 2.32 and 2.34, with a new version and the same code.
ACALL_OLDEST(pthread_create, pthread_create);
ACALL_OLDEST(pthread_attr_setstacksize, pthread_attr_setstacksize);
ACALL_OLDEST(pthread_sigmask, pthread_sigmask);
// The name that the headers use since 2.28; on 64 bits fcntl is the same function.
ACALL_OLDEST(fcntl64, fcntl);
// The names that the headers use since 2.38. These functions also read binary numbers, which do not occur here.
ACALL_OLDEST(__isoc23_strtol, strtol);
ACALL_OLDEST(__isoc23_strtoul, strtoul);
ACALL_OLDEST(__isoc23_strtoull, strtoull);

#undef ACALL_OLDEST
#undef ACALL_OLDEST_GLIBC

#endif  // __GLIBC__

#endif  // ACALL_BINDING_GLIBC_H_
