{
  # Linked with -z nodelete: Node unmaps an addon with the Worker that loaded it, and ours has threads inside.
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
      '<!(node -p "require(\'node-addon-api\').include_dir")',
    ],
    'defines': [
      '_GNU_SOURCE',
      'NAPI_VERSION=8',
      'NAPI_DISABLE_CPP_EXCEPTIONS',
    ],
    'configurations': {
      'Release': {'cflags!': ['-O3'], 'cflags': ['-O2']},
    },
    'cflags': ['-g', '-Wall', '-Wextra', '-fvisibility=hidden', '-ffp-contract=off', '-ffunction-sections'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
    'cflags_cc': ['-std=c++20', '-fno-exceptions', '-fno-rtti', '-fvisibility-inlines-hidden'],
    'ldflags': [
      '-Wl,-z,nodelete',
      '-Wl,-z,relro,-z,now',
      '-Wl,--gc-sections',
      '-Wl,--exclude-libs,ALL',
      '-static-libstdc++',
      '-static-libgcc',
    ],
    'conditions': [
      ['acall_werror==1', {'cflags': ['-Werror']}],
    ],
  }],
}
