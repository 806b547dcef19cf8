import type { SectionKit, SectionParts } from "./section.ts";
import { sessionsOf } from "./sessions-of.ts";

/** Sessions of browsers; the section `auth` has them as its provider `session`. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const { gate, interceptor } = await sessionsOf(kit);
  return { gates: { authentication: [gate] }, hopInterceptors: [interceptor] };
}
