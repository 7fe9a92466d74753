// Preloaded: what a copy of the addon finds whose import of napi_create_external_arraybuffer has been renamed to this.
// It answers as a V8 with a memory cage does.
int nope_create_external_arraybuffer(void* env, void* data, unsigned long length, void* finalize, void* hint,
                                     void* result) {
  (void)env, (void)data, (void)length, (void)finalize, (void)hint, (void)result;
  return 22;  // napi_no_external_buffers_allowed
}
