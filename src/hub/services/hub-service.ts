import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  HubService as descriptor,
  type HeaderFilter as FilterMessage,
  type HeaderTest as TestMessage,
  type ListenRequest,
  type ListenResponseSchema,
} from "../../../gen/ts_ms/hub/v1/hub_pb.ts";
import type { Service } from "../../core/call/service.ts";
import { invalidArgument } from "../../core/errors/errors.ts";
import type { HeaderFilter, HeaderTest } from "../room/header-filter.ts";
import type { ListenedHub } from "./listened-hub.ts";

type Events = AsyncIterable<MessageInitShape<typeof ListenResponseSchema>>;

/** The service by which clients read rooms. Its contract, `ts_ms/hub/v1/hub.proto`, documents each rpc. */
export function hubService(hub: ListenedHub): Service<typeof descriptor> {
  return {
    descriptor,
    listen: ({ rooms, filter }: ListenRequest, context: HandlerContext) =>
      hub.listen(rooms, context, filter && filterOf(filter, "filter", 1)) as Events, // It gives no others.
    async ack(request, context) {
      await hub.ack(request, context);
      return {};
    },
    async getPresence({ room }, context) {
      return hub.presence(room, context);
    },
    async *watchPresence({ room }, context) {
      for await (const event of await hub.watchPresence(room, context)) yield { event };
    },
    async getHistory({ room, after, limit }, context) {
      const options = { ...(after !== "" && { after }), ...(limit !== 0 && { limit }) };
      const { events, ...page } = await hub.history(room, context, options);
      return { ...page, events: [...events] };
    },
  };
}

/** Deeper ones are refused by those who compile filters; this only ends the way down. */
const maxDepth = 8;

/** @throws ConnectError INVALID_ARGUMENT naming the part that is missing */
function filterOf({ of }: FilterMessage, path: string, depth: number): HeaderFilter {
  if (depth > maxDepth) throw missing(path, "filters are at most 4 deep within one another");
  switch (of.case) {
    case "test":
      return testOf(of.value, `${path}.test`);
    case "not":
      return { not: filterOf(of.value, `${path}.not`, depth + 1) };
    case "all":
      return { all: of.value.filters.map((one, i) => filterOf(one, `${path}.all[${i}]`, depth + 1)) };
    case "any":
      return { any: of.value.filters.map((one, i) => filterOf(one, `${path}.any[${i}]`, depth + 1)) };
    case undefined:
      throw missing(path, "a test, or all, any or not is expected");
  }
}

function testOf({ header, value }: TestMessage, path: string): HeaderTest {
  switch (value.case) {
    case "oneOf":
      return { header, oneOf: value.value.texts };
    case undefined:
      throw missing(path, "is, is_not, one_of, prefix, present, above or below is expected");
    default:
      return { header, [value.case]: value.value } as HeaderTest; // The members of the message are those of a test.
  }
}

function missing(field: string, description: string): Error {
  return invalidArgument(`${field}: ${description}`, [{ field, description }]);
}
