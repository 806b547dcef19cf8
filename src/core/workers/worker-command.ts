import { isInspectFlag } from "./inspection.ts";
import type { WorkerCommand } from "./live-worker.ts";

/**
 * How the program is started once more: with the same file, arguments and flags of Node. Only worker 1 is inspected.
 *
 * @param isBundled whether the program is an executable with the program inside
 */
export function workerCommand(place: number, isBundled: boolean): WorkerCommand {
  const { execArgv, argv, env } = process;
  const flags = place === 1 ? execArgv : execArgv.filter((flag) => !isInspectFlag(flag));
  const options = env["NODE_OPTIONS"];
  const file = argv[1] ?? "";
  return {
    args: [...flags, ...(isBundled ? [] : [file]), ...argv.slice(2)],
    env:
      place === 1 || options === undefined
        ? env
        : {
            ...env,
            NODE_OPTIONS: options
              .split(" ")
              .filter((flag) => !isInspectFlag(flag))
              .join(" "),
          },
  };
}
