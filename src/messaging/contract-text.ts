import { toDurationMs } from "../core/config/quantity-text.ts";
import { SetupError } from "../core/errors/setup-error.ts";

/**
 * Milliseconds of a duration in a contract, which is above 0; undefined for none.
 *
 * @param owner what has it, with its file
 * @throws SetupError naming owner, option and text
 */
export function durationOf(owner: string, option: string, text: string): number | undefined {
  if (text === "") return undefined;
  const wrong = (why: string): SetupError =>
    new SetupError(`${owner}: ${option} ${why}, not ${JSON.stringify(text)}`);
  let ms: number;
  try {
    ms = toDurationMs(text);
  } catch (reason) {
    throw wrong(reason instanceof Error ? reason.message : String(reason));
  }
  if (ms <= 0) throw wrong("must be above 0");
  return ms;
}
