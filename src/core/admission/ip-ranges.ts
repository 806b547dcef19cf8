import { isIP } from "node:net";
import { SetupError } from "../errors/setup-error.ts";

/** Whether an address is in one of several ranges. */
export type IpRanges = (address: string) => boolean;

/** Refuses what is no address and no range. @param place of the range, for errors. @throws SetupError */
export function checkRange(range: string, place: string): void {
  const [address = "", prefix, ...more] = String(range).split("/");
  const version = isIP(address);
  const most = version === 4 ? 32 : 128;
  const isRange =
    version !== 0 &&
    more.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) >= 1 && Number(prefix) <= most));
  if (isRange) return;
  throw new SetupError(
    `${place}: ${JSON.stringify(range)} is no address and no range: write one such as 10.0.0.0/8 or fd00::/8`,
  );
}

/** The function of the package that compiles ranges, once it is loaded. */
let compile: ((ranges: string[]) => (address: string, place: number) => boolean) | undefined;

/** Loads the package that compiles ranges, for `loadedRanges`. */
export async function loadRanges(): Promise<void> {
  compile ??= (await import("@fastify/proxy-addr")).default.compile;
}

/** Compiles ranges that were checked, behind a `loadRanges`. */
export function loadedRanges(ranges: readonly string[]): IpRanges {
  if (compile === undefined) throw new Error("loadRanges has to be called first");
  const isIn = compile([...ranges]);
  return (address) => isIn(address, 0);
}

/** As `loadedRanges`, by a package that is loaded for them. */
export async function compileRanges(ranges: readonly string[]): Promise<IpRanges> {
  await loadRanges();
  return loadedRanges(ranges);
}
