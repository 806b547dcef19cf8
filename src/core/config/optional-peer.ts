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
    if (!isMissingPeer(cause, name)) throw cause;
    throw new SetupError(`${feature} needs the package ${name}: \`npm install ${name}\``, { cause });
  }
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

/** Whether an import has failed because a package is not installed. */
export function isMissingPeer(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_MODULE_NOT_FOUND") return false;
  return error.message.includes(`'${name}'`) || error.message.includes(`"${name}"`);
}
