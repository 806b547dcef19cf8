import type { ProgramControl } from "../app-control.ts";
import type { AnyService } from "../../core/call/service.ts";
import { AdminServer } from "../admin-server.ts";
import { AdminService } from "../admin-service.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Name of the server. */
const name = "admin";

/** The services by which a program and its hub are administered, on a port of their own. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const { config, mistake } = kit;
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
  const services: readonly AnyService[] = [
    service,
    ...(config.hub === undefined ? [] : [await adminOfHub(kit)]),
  ];
  return {
    ruled: services.map(({ descriptor }) => descriptor),
    servers: [
      {
        name,
        make: (parts) => new AdminServer(parts, { host, port: Number(port) }, services),
        listens: { host, port: Number(port), key: "admin.port" },
      },
    ],
    attach(control) {
      program = control;
    },
  };
}

async function adminOfHub(kit: SectionKit): Promise<AnyService> {
  const { hubOf } = await import("./hub-of.ts");
  return hubOf(kit).admin({ allow() {} }); // Callers have the role: the rules of access say so.
}
