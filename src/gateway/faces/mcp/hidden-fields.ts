import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";
import { invalidArgument } from "../../../core/errors/errors.ts";

/** Whether the face shows a field. */
export type Shows = (field: DescField) => boolean;

/** The fields of a request, and of the messages inside of it, that the contract hides: clients cannot send them. */
export class HiddenFields {
  readonly #message: DescMessage;
  readonly #shows: Shows;

  private constructor(message: DescMessage, shows: Shows) {
    this.#message = message;
    this.#shows = shows;
  }

  /** @returns undefined where all are shown */
  static of(message: DescMessage, shows: Shows): HiddenFields | undefined {
    return hasHidden(message, shows) ? new HiddenFields(message, shows) : undefined;
  }

  /** @param json a request @throws ConnectError INVALID_ARGUMENT, as for a field that there is not */
  refuse(json: unknown): void {
    this.#refuse(this.#message, json, "");
  }

  #refuse(message: DescMessage, json: unknown, path: string): void {
    if (!isMembers(json)) return;
    for (const field of message.fields) {
      for (const name of new Set([field.jsonName, field.name])) {
        if (!Object.hasOwn(json, name)) continue;
        const place = path + field.name;
        if (!this.#shows(field)) {
          throw invalidArgument(`unknown field ${place}`, [
            { field: place, description: "the message has no such field" },
          ]);
        }
        if (field.message === undefined) continue;
        const value = json[name];
        const inside = field.fieldKind === "map" && isMembers(value) ? Object.values(value) : [value].flat();
        for (const one of inside) this.#refuse(field.message, one, `${place}.`);
      }
    }
  }
}

/** Whether a message, or one inside of it, has a field that is not shown. */
function hasHidden(message: DescMessage, shows: Shows): boolean {
  const seen = new Set([message]);
  for (const one of seen) {
    for (const field of one.fields) {
      if (!shows(field)) return true;
      if (field.message !== undefined) seen.add(field.message);
    }
  }
  return false;
}

/**
 * The type of replies as clients see it: without its hidden fields, and those of the messages inside of it. Writers of
 * JSON that are made of it leave these out of messages of the whole type.
 */
export function shownMessage(message: DescMessage, shows: Shows): DescMessage {
  return hasHidden(message, shows) ? reduced(message, shows, new Map()) : message;
}

/** @param made the reduced types so far: types may contain themselves */
function reduced(desc: DescMessage, shows: Shows, made: Map<DescMessage, DescMessage>): DescMessage {
  const known = made.get(desc);
  if (known !== undefined) return known;
  const fields: DescField[] = [];
  const isShown = (member: DescMessage["members"][number]): boolean =>
    member.kind === "oneof" || shows(member);
  const copy: DescMessage = { ...desc, fields, members: desc.members.filter(isShown) };
  made.set(desc, copy);
  for (const field of desc.fields.filter(shows)) {
    const inside = field.message && reduced(field.message, shows, made);
    fields.push({ ...field, parent: copy, ...(inside && { message: inside }) } as DescField); // Of the same kind as before.
  }
  return copy;
}
