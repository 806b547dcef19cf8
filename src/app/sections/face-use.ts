import type { Config } from "../../core/config/loader/config-types.ts";
import { isLoopback } from "../../core/net/loopback.ts";

/** What every section of a face has. */
interface FaceSection {
  readonly enabled?: boolean | undefined;
}

/** Whether a face is served that is on at loopback addresses: where its section says so, or is there and says nothing. */
export function isFaceOn({ http }: Config, section: FaceSection | undefined): boolean {
  return http.enabled && (section === undefined ? isLoopback(http.host) : (section.enabled ?? true));
}
