import type { DescMessage, DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { type PartialService, service, type ServiceImpl } from "../../src/core/call/service.ts";

/** Any message that a stream of requests brings. */
type Requests = AsyncIterable<Message>;

/** How many messages streams of replies have. */
const replyCount = 2;

/**
 * A service whose replies have what their requests have: fields of the same name and kind, and the request itself where
 * the reply has a field for it. So replies are as odd as the requests that a tool makes up.
 */
export function echoingService(descriptor: DescService): PartialService<DescService> {
  const handlers = descriptor.methods.map((method) => [method.localName, handlerOf(method)] as const);
  // Handlers by the kinds of their rpcs, which no type can say of a service that is not known.
  return service(descriptor, Object.fromEntries(handlers) as object as Partial<ServiceImpl<DescService>>);
}

function handlerOf(method: DescMethod): object {
  const { input, output } = method;
  switch (method.methodKind) {
    case "unary":
      return async (request: Message) => replyTo(request, input, output);
    case "client_streaming":
      return async (requests: Requests) => {
        let last = create(input);
        for await (const request of requests) last = request;
        return replyTo(last, input, output);
      };
    case "server_streaming":
      return async function* (request: Message) {
        for (let turn = 0; turn < replyCount; turn++) yield replyTo(request, input, output);
      };
    case "bidi_streaming":
      return async function* (requests: Requests) {
        for await (const request of requests) yield replyTo(request, input, output);
      };
  }
}

function replyTo(request: Message, input: DescMessage, output: DescMessage): Message {
  if (input === output) return request;
  const given = request as Message & Readonly<Record<string, unknown>>; // Fields by their local names.
  const fields: Record<string, unknown> = {};
  for (const field of output.fields) {
    const same = input.fields.find(({ name }) => name === field.name);
    const isRequest = field.message === input && field.fieldKind === "message";
    if (isRequest) fields[field.localName] = request;
    else if (same !== undefined && same.oneof === undefined && kindOf(same) === kindOf(field))
      fields[field.localName] = given[field.localName];
    else if (field.fieldKind === "message") fields[field.localName] = create(field.message);
  }
  return create(output, fields);
}

function kindOf(field: DescMessage["fields"][number]): string {
  const of = field.message?.typeName ?? field.enum?.typeName ?? String(field.scalar);
  return `${field.fieldKind} ${of} ${String(field.fieldKind === "map" ? field.mapKey : field.fieldKind)}`;
}
