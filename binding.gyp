{
  # Linked with -z nodelete: Node unmaps an addon with the Worker that loaded it, and ours has threads inside.
  # Linked without libstdc++ and against old versions of glibc's functions, so that what is built here runs on systems with
  # glibc 2.28 and later: see native/binding/cxx_runtime.cc and native/binding/glibc.h.
  'variables': {
    'acall_werror%': '<!(node -p "process.env.ACALL_WERROR === \'1\' ? 1 : 0")',
  },
  'targets': [{
    'target_name': 'acall',
    'sources': [
      '<!@(node scripts/list-sources.mjs --arch <(target_arch) native/core/sources.txt native/binding/sources.txt)',
    ],
    'include_dirs': [
      'native/core',
      'native/binding',
    ],
    'defines': [
      '_GNU_SOURCE',
      'NAPI_VERSION=8',
    ],
    'configurations': {
      'Release': {'cflags!': ['-O3'], 'cflags': ['-O2']},
    },
    'cflags': ['-g', '-Wall', '-Wextra', '-fvisibility=hidden', '-ffp-contract=off', '-ffunction-sections'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
    'cflags_cc': [
      '-std=c++20',
      '-fno-exceptions',
      '-fno-rtti',
      '-fno-threadsafe-statics',
      '-fvisibility-inlines-hidden',
      '-include', 'glibc.h',
    ],
    'ldflags': [
      '-Wl,-z,nodelete',
      '-Wl,-z,relro,-z,now',
      '-Wl,--gc-sections',
      '-Wl,--version-script=../native/binding/exports.map',
      '-nodefaultlibs',
    ],
    # libpthread is a part of libc since 2.34, and an empty file then.
    'libraries': ['-lgcc', '-Wl,--as-needed', '-lpthread', '-lc'],
    'conditions': [
      ['acall_werror==1', {'cflags': ['-Werror']}],
    ],
  }],
}
