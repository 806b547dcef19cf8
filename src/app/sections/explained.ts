import { SetupError } from "../../core/errors/setup-error.ts";
import type { SectionKit } from "./section.ts";

/** What `make` makes. @throws what `SectionKit.mistake` returns for the key, where `make` throws a SetupError */
export function explained<T>({ mistake }: Pick<SectionKit, "mistake">, key: string, make: () => T): T {
  try {
    return make();
  } catch (reason) {
    if (reason instanceof SetupError) throw mistake(key, withoutStart(reason.message, `${key}: `));
    throw reason;
  }
}

function withoutStart(text: string, start: string): string {
  return text.startsWith(start) ? text.slice(start.length) : text;
}
