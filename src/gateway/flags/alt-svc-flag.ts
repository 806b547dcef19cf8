import type { Flag } from "../../core/config/flag-kinds.ts";
import { altSvcDefaults, type AltSvcChoice } from "../http/alt-svc.ts";

/** A flag whose value is a port from 1, and for how many seconds clients may use it; undefined if it is not given. */
export const altSvcFlag: Flag<AltSvcChoice | undefined> = {
  help: "Say by Alt-Svc that a proxy serves HTTP/3 at this port, for 3600 s unless it says otherwise",
  value: "PORT[,SECONDS]",
  default: undefined,
  shownDefault: "",
  repeatable: false,
  read(text) {
    const [, port, seconds] = /^(\d{1,5})(?:,(\d{1,9}))?$/.exec(text) ?? [];
    if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
      throw new Error("must be a port from 1 to 65535, then perhaps a comma and seconds, such as 443,86400");
    }
    const maxAgeSeconds = seconds === undefined ? altSvcDefaults.maxAgeSeconds : Number(seconds);
    return { port: Number(port), maxAgeSeconds };
  },
};
