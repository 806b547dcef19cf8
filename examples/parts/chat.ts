import { ChatService } from "../../gen/chat/v1/chat_pb.ts";
import { HubOnDemand } from "../../src/entries/flags.ts";
import type { Hub } from "../../src/entries/hub.ts";
import type { GrpcServerOptions, Service } from "../../src/index.ts";

/** The chat of a program, and the hub of its servers. */
export interface Chat {
  readonly hub: GrpcServerOptions["hub"];
  readonly chat: Service<typeof ChatService>;
}

/** The chat in the hub that flags ask for; without one the chat has its own, and both are loaded by its first call. */
export async function chatOf(hub: Hub | undefined): Promise<Chat> {
  const make = async (hub: Hub) => {
    const { ChatService } = await import("../../src/services/chat/chat-service.ts");
    return new ChatService(hub);
  };
  if (hub !== undefined) return { hub, chat: await make(hub) };
  const onDemand = new HubOnDemand();
  return { hub: onDemand, chat: onDemand.service(ChatService, make) };
}
