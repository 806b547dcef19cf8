import type { Config, LoadConfigOptions } from "../core/config/loader/config-types.ts";
import { loadConfig } from "../core/config/loader/load-config.ts";
import { workerId } from "../core/lifecycle/worker-process.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { AppPlan } from "./app-plan.ts";
import { ConfigPlan } from "./config-plan.ts";
import { endProgram, mistaken } from "./end-program.ts";

/**
 * Reads the configuration and makes the plan of an app of it. A configuration with mistakes ends the process with code
 * 2 and a line for each; what only prints ends it with 0.
 */
export async function planFromConfig(options: LoadConfigOptions): Promise<AppPlan> {
  try {
    const loaded = await loadConfig(options);
    if (loaded.request.kind === "print") endProgram(0, loaded.request.text);
    if (loaded.request.kind === "run") await becomeWorkers(loaded.config);
    return await ConfigPlan.of(loaded, options.env ?? process.env);
  } catch (error) {
    if (error instanceof SetupError) endProgram(mistaken, error.message);
    throw error;
  }
}

/** With workers this process goes on only if it is one of them. */
async function becomeWorkers(config: Config): Promise<void> {
  if (config.workers === undefined && workerId() === undefined) return;
  const { joinWorkers } = await import("./join-workers.ts");
  await joinWorkers(config);
}
