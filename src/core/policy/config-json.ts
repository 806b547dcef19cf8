import { Code } from "../errors/errors.ts";
import { SetupError } from "../errors/setup-error.ts";
import { showWrong } from "./policy-values.ts";

/** An object of a configuration in JSON, read as proto3's JSON mapping reads it: `null` is a missing member. */
export class ConfigObject {
  readonly place: string;
  readonly #members: Readonly<Record<string, unknown>>;

  /** @param place for errors. @throws SetupError if the value is no object */
  constructor(value: unknown, place: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new SetupError(`${place} must be an object, not ${showWrong(value)}`);
    }
    this.place = place;
    this.#members = value as Readonly<Record<string, unknown>>; // As it was found.
  }

  /** Names of the members that are there. */
  get names(): string[] {
    return Object.keys(this.#members).filter((name) => this.#members[name] !== null);
  }

  has(name: string): boolean {
    return this.#value(name) !== undefined;
  }

  object(name: string): ConfigObject | undefined {
    const value = this.#value(name);
    return value === undefined ? undefined : new ConfigObject(value, `${this.place}.${name}`);
  }

  /** The objects of a list; empty for none. */
  objects(name: string): ConfigObject[] {
    return this.#list(name).map((entry, index) => new ConfigObject(entry, `${this.place}.${name}[${index}]`));
  }

  text(name: string): string | undefined {
    const value = this.#value(name);
    if (value === undefined || typeof value === "string") return value;
    return this.refuse(name, "a text");
  }

  flag(name: string): boolean | undefined {
    const value = this.#value(name);
    if (value === undefined || typeof value === "boolean") return value;
    return this.refuse(name, "true or false");
  }

  /** A number that is not negative, given as one or as a text. */
  number(name: string): number | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const isNumber = typeof value === "string" && /^\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(value);
    const number = isNumber ? Number(value) : value;
    if (typeof number === "number" && number >= 0 && Number.isFinite(number)) return number;
    return this.refuse(name, "a number from 0");
  }

  /** A whole number, as `number`. */
  count(name: string): number | undefined {
    const number = this.number(name);
    if (number === undefined || (Number.isInteger(number) && number < 2 ** 32)) return number;
    return this.refuse(name, "a whole number below 2^32");
  }

  /** A duration such as `1.5s`, in milliseconds. */
  durationMs(name: string): number | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const seconds = typeof value === "string" ? /^(\d{1,12}(?:\.\d{1,9})?)s$/.exec(value)?.[1] : undefined;
    if (seconds === undefined) return this.refuse(name, 'seconds such as "1.5s"');
    return Number((Number(seconds) * 1_000).toFixed(6));
  }

  /** Codes of errors, by their names in any letter case or by their numbers. */
  codes(name: string): Code[] {
    return this.#list(name).map((entry, index) => {
      const code = typeof entry === "string" ? codesByName.get(entry.toUpperCase()) : entry;
      if (Number.isInteger(code) && Number(code) >= 1 && Number(code) <= 16) return Number(code); // All of them.
      throw new SetupError(
        `${this.place}.${name}[${index}] must be the code of an error, such as UNAVAILABLE, not ${showWrong(entry)}`,
      );
    });
  }

  /** @throws SetupError for a member that is not what it must be */
  refuse(name: string, what: string): never {
    const value = this.#value(name);
    const instead = value === undefined ? ", and is missing" : `, not ${showWrong(value)}`;
    throw new SetupError(`${this.place}.${name} must be ${what}${instead}`);
  }

  #value(name: string): unknown {
    const value = Object.hasOwn(this.#members, name) ? this.#members[name] : undefined;
    return value === null ? undefined : value;
  }

  #list(name: string): readonly unknown[] {
    const value = this.#value(name);
    if (value === undefined) return [];
    return Array.isArray(value) ? (value as readonly unknown[]) : this.refuse(name, "a list");
  }
}

/** `CANCELLED`, `UNKNOWN` and so on, with the spelling of google.rpc.Code. */
const codesByName: ReadonlyMap<string, number> = new Map([
  ...Object.entries(Code)
    .filter((entry): entry is [string, number] => typeof entry[1] === "number")
    .map(([name, code]): [string, number] => [name.replaceAll(/(?!^)([A-Z])/g, "_$1").toUpperCase(), code]),
  ["CANCELLED", 1],
]);
