import type { SystemFailure } from "./worker-messages.ts";

/** What another process is told of an error. */
export function failureOf(error: unknown): SystemFailure {
  if (!(error instanceof Error)) {
    return { message: String(error), code: undefined, syscall: undefined, port: undefined };
  }
  const { code, syscall, port } = error as NodeJS.ErrnoException & { readonly port?: number }; // Of the system, by Node.
  return { message: error.message, code, syscall, port };
}

/** The error that another process has told of. */
export function errorOf({ message, ...others }: SystemFailure): Error {
  const known = Object.entries(others).filter(([, value]) => value !== undefined);
  return Object.assign(new Error(message), Object.fromEntries(known));
}
