import { FlagError } from "../../core/errors/setup-error.ts";

/** The headers of `--header`. @param lines `NAME:VALUE` each @throws FlagError for one that no header can be */
export function readHeaders(lines: readonly string[]): Headers {
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    try {
      headers.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
    } catch (cause) {
      throw new FlagError(`--header ${JSON.stringify(line)} cannot be sent as a header`, { cause });
    }
  }
  return headers;
}
