import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { isMembers } from "../../../core/codec/json-members.ts";
import { invalidArgument } from "../../../core/errors/errors.ts";

/** Whether the face shows a field. */
export type Shows = (field: DescField) => boolean;

/** The fields of a message, and of those inside of it, that the contract hides: clients neither send nor see them. */
export class HiddenFields {
  readonly #message: DescMessage;
  readonly #shows: Shows;

  private constructor(message: DescMessage, shows: Shows) {
    this.#message = message;
    this.#shows = shows;
  }

  /** @returns undefined where all are shown */
  static of(message: DescMessage, shows: Shows): HiddenFields | undefined {
    const seen = new Set([message]);
    for (const one of seen) {
      for (const field of one.fields) {
        if (!shows(field)) return new HiddenFields(message, shows);
        if (field.message !== undefined) seen.add(field.message);
      }
    }
    return undefined;
  }

  /** @param json a request @throws ConnectError INVALID_ARGUMENT, as for a field that there is not */
  refuse(json: unknown): void {
    this.#refuse(this.#message, json, "");
  }

  /** Removes them from a reply. */
  remove(message: Message): void {
    this.#remove(reflect(this.#message, message));
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

  #remove(message: ReflectMessage): void {
    for (const field of message.desc.fields) {
      if (!message.isSet(field)) continue;
      if (!this.#shows(field)) message.clear(field);
      else if (field.fieldKind === "message") this.#remove(message.get(field));
      else if (field.fieldKind === "list" && field.listKind === "message") {
        for (const one of message.get(field)) this.#remove(one as ReflectMessage); // As its kind says.
      } else if (field.fieldKind === "map" && field.mapKind === "message") {
        for (const [, one] of message.get(field)) this.#remove(one as ReflectMessage); // As its kind says.
      }
    }
  }
}
