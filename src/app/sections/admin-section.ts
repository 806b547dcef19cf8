import type { ProgramControl } from "../app-control.ts";
import { AdminServer } from "../admin-server.ts";
import { AdminService } from "../admin-service.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Name of the server. */
const name = "admin";

/** The service by which a program is administered, on a port of its own. */
export function open({ config, mistake }: SectionKit): SectionParts {
  const { host = "127.0.0.1", port = "off" } = config.admin ?? {};
  const { auth, session } = config;
  if (session === undefined && Object.keys(auth?.providers ?? {}).length === 0) {
    throw mistake(
      "admin.port",
      "the admin service is for callers of the role admin, and nothing says who callers are: add a provider to auth.providers",
    );
  }
  let program: ProgramControl | undefined;
  const service = new AdminService(() => {
    if (program === undefined)
      throw new TypeError("the admin service is called before its program has started");
    return program;
  }, name);
  return {
    ruled: [service.descriptor],
    servers: [
      {
        name,
        make: (parts) => new AdminServer(parts, { host, port: Number(port) }, service),
        listens: { host, port: Number(port), key: "admin.port" },
      },
    ],
    attach(control) {
      program = control;
    },
  };
}
