import type { AppPlan } from "./app-plan.ts";

export interface LoadOptions {
  readonly argv?: readonly string[];
}

export async function planFromConfig(_options: LoadOptions): Promise<AppPlan> {
  throw new Error("to come");
}
