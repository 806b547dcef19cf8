import { show } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";

/** @throws SetupError for what is no list; JavaScript callers can pass any */
export function checkList(value: unknown, place: string, of: string): void {
  if (!Array.isArray(value)) throw new SetupError(`${place} must be a list of ${of}, not ${show(value)}`);
}
