/** The outcome of a promise: its value, or the fields of its error. */
export async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    return { value: await promise };
  } catch (error) {
    const { code, errno, syscall, path, message, name } = error as NodeJS.ErrnoException;
    return { error: { code, errno, syscall, path, message, name } };
  }
}
