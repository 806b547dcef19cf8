import type { MessageShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { PresenceKind } from "../../gen/ts_ms/hub/v1/events_pb.ts";
import { PersonInfoSchema, type WatchPeopleResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";

const kinds = new Map<number, string>(Object.entries(PresenceKind).map(([name, kind]) => [kind, name]));

/** An event of presence as a short text: its kind, the members, and the counts of users and connections. */
export function presenceText({ event }: MessageShape<typeof WatchPeopleResponseSchema>): string {
  if (event.case !== "presence") return String(event.value);
  const { kind, members, users, connections, more } = event.value;
  const who = members.map(({ user, connection, connections, info }) => {
    const mood = info && anyUnpack(info, PersonInfoSchema)?.mood;
    return `${user}${connection === "" ? "" : "?"}×${connections}${mood === undefined ? "" : `=${mood}`}`;
  });
  return `${kinds.get(kind)} ${who.join(",")} ${users}/${connections}${more ? " …" : ""}`;
}
