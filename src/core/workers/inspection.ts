/** Flags of Node that ask for an inspector. */
const inspects = /^--inspect(?:-brk|-wait|-port)?(?:=|$)/;

/** Whether a flag of Node asks for an inspector. */
export function isInspectFlag(flag: string): boolean {
  return inspects.test(flag);
}

/** Whether this program was started to be inspected. Of its processes only worker 1 is. */
export function isInspected(): boolean {
  const { execArgv, env } = process;
  return [...execArgv, ...(env["NODE_OPTIONS"] ?? "").split(" ")].some(isInspectFlag);
}

/** Gives the address of the inspector free, for worker 1. */
export async function releaseInspector(): Promise<void> {
  if (!isInspected()) return;
  const { close } = await import("node:inspector");
  close();
}

/** Opens the inspector at the address of the flags, if it is not open: a process that came before had it then. */
export async function takeInspector(): Promise<void> {
  const { open, url } = await import("node:inspector");
  try {
    if (url() === undefined) open();
  } catch {
    // Another program has the address: Node says so at a start, and goes on without.
  }
}
