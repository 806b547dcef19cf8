import { SetupError } from "../errors/setup-error.ts";

/**
 * Loads a module of this package that imports an optional peer dependency.
 *
 * @param name the npm package that the module needs
 * @param feature what needs it, for the error
 * @throws SetupError with the command that installs the package, if it is not installed
 */
export async function loadPeer<T>(name: string, feature: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw asSetupError(cause, name, feature);
  }
}

/** As `loadPeer`, for a CommonJS package that is required. */
export function requirePeer<T>(name: string, feature: string, load: () => T): T {
  try {
    return load();
  } catch (cause) {
    throw asSetupError(cause, name, feature);
  }
}

/** The error of a package that is not installed; any other as it is. */
function asSetupError(cause: unknown, name: string, feature: string): unknown {
  if (!isMissingPeer(cause, name)) return cause;
  if (codeOf(cause) === "ERR_UNKNOWN_BUILTIN_MODULE") {
    const text = "which this executable does not have: run the program's file with Node, beside the package";
    return new SetupError(`${feature} needs the package ${name}, ${text}`, { cause });
  }
  return new SetupError(`${feature} needs the package ${name}: \`npm install ${name}\``, { cause });
}

/**
 * Checks that an optional peer dependency is installed, without loading it: for what is made long before it is used.
 *
 * @throws SetupError as `loadPeer`
 */
export function checkPeer(name: string, feature: string): void {
  try {
    import.meta.resolve(name);
  } catch (cause) {
    throw new SetupError(`${feature} needs the package ${name}: \`npm install ${name}\``, { cause });
  }
}

/** Codes of Node's errors for packages that are not there: of `import`, of `require`, and of both in an executable. */
const notFoundCodes: ReadonlySet<unknown> = new Set([
  "ERR_MODULE_NOT_FOUND",
  "MODULE_NOT_FOUND",
  "ERR_UNKNOWN_BUILTIN_MODULE",
]);

/** Whether an import has failed because a package is not installed. */
export function isMissingPeer(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !notFoundCodes.has(codeOf(error))) return false;
  const { message } = error;
  return message.includes(`'${name}'`) || message.includes(`"${name}"`) || message.endsWith(`: ${name}`);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
