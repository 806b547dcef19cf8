import type { DescMessage } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";
import { invalidArgument } from "../../../core/errors/errors.ts";
import { hasHidden, type Shows } from "../shown-message.ts";

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
