import type { ProgramControl } from "../app-control.ts";
import type { AnyService } from "../../core/call/service.ts";
import type { AdministeredMessages } from "../../messaging/admin-service.ts";
import { AdminServer } from "../admin-server.ts";
import { AdminService } from "../admin-service.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Name of the server. */
const name = "admin";

/** The services by which a program, its hub, messages, dispatcher and sagas are administered, on a port of their own. */
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
    ...(await adminOfMessages(kit)),
    ...(config.saga === undefined ? [] : [await adminOfSagas(kit)]),
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

/** One service for all queues that the program reads. */
async function adminOfMessages(kit: SectionKit): Promise<readonly AnyService[]> {
  const { messaging, dispatch } = kit.config;
  const places: AdministeredMessages[] = [];
  if (messaging?.consume?.enabled === true) {
    places.push(kit.shared((await import("./messaging-section.ts")).makeMessagesPlace));
  }
  if (dispatch !== undefined) {
    places.push(kit.shared((await import("./dispatch-section.ts")).makeDispatchPlace));
  }
  if (places.length === 0) return [];
  const { messageAdminService } = await import("../../messaging/admin-service.ts");
  const { AdministeredQueues } = await import("../administered-queues.ts");
  return [messageAdminService(new AdministeredQueues(places), { allow() {} })]; // As of the hub.
}

async function adminOfSagas(kit: SectionKit): Promise<AnyService> {
  const { sagaService } = await import("../../saga/saga-service.ts");
  const { makeSagaPlace } = await import("./saga-section.ts");
  return sagaService(kit.shared(makeSagaPlace).administered, { allow() {} }); // As of the hub.
}

async function adminOfHub(kit: SectionKit): Promise<AnyService> {
  const { hubOf } = await import("./hub-of.ts");
  return hubOf(kit).admin({ allow() {} }); // Callers have the role: the rules of access say so.
}
