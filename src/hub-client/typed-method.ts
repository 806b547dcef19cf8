import { invalidArgument, unimplemented } from "./call/codes.ts";
import {
  create,
  fromJson,
  getOption,
  toJson,
  type DescField,
  type DescMessage,
  type DescMethod,
  type Registry,
} from "@bufbuild/protobuf";
import { event_id } from "../../gen/ts_ms/v1/options_pb.ts";
import { HubError } from "./call/hub-error.ts";
import type { HubMethod } from "./call/hub-method.ts";
import type { HubReset } from "./call/hub-reset.ts";

/** The message by which a hub tells of a reset where the type of messages has a field for it. */
const resetType = "ts_ms.hub.v1.Reset";

type Fields = Readonly<Record<string, unknown>>;

/** An rpc with messages of protobuf-es. This file is loaded for the first one. */
export function typedMethod(desc: DescMethod, registry: Registry | undefined): HubMethod {
  const { input, output } = desc;
  const types = registry === undefined ? {} : { registry };
  const id = output.fields.find((field) => getOption(field, event_id))?.localName;
  const reset = output.fields.find((field) => field.message?.typeName === resetType);
  return {
    path: `/${desc.parent.typeName}/${desc.name}`,
    desc,
    encode(request) {
      try {
        return toJson(input, create(input, request as Fields), types);
      } catch (reason) {
        throw new HubError(invalidArgument, `the request is no ${input.typeName}`, [], reason);
      }
    },
    decode(json) {
      try {
        return fromJson(output, json as null, { ignoreUnknownFields: true, ...types });
      } catch (reason) {
        throw new HubError(unimplemented, `a ${output.typeName} cannot be read`, [], reason);
      }
    },
    positionOf(reply) {
      const position = id === undefined ? undefined : (reply as Fields)[id];
      if (typeof position === "bigint" || typeof position === "number") return String(position);
      return typeof position === "string" && position !== "" ? position : undefined;
    },
    resetOf: (reply) => reset && resetIn(reply as Fields, reset, reset.message),
  };
}

/** The reset in a message; undefined if it has none. */
function resetIn(
  reply: Fields,
  field: DescField,
  type: DescMessage | undefined,
): (HubReset & { readonly position: string | undefined }) | undefined {
  const { oneof, localName } = field;
  const chosen = oneof && (reply[oneof.localName] as { case?: string; value?: unknown });
  const value =
    oneof === undefined ? reply[localName] : chosen?.case === localName ? chosen.value : undefined;
  if (value === undefined) return undefined;
  const { room, reason, missed, position } = value as Fields;
  const names = type?.fields.find(({ name }) => name === "reason")?.enum;
  const name = names?.values.find(({ number }) => number === reason)?.name;
  return {
    reason: name?.slice((names?.sharedPrefix ?? "").length).toUpperCase() ?? "UNKNOWN",
    room: typeof room === "string" && room !== "" ? room : undefined,
    missed: missed === undefined || missed === 0n ? undefined : Number(missed),
    position: typeof position === "string" && position !== "" ? position : undefined,
  };
}
