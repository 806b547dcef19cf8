import type { HeaderSource, TakeHeader } from "./header-source.ts";

/** A few headers, each name once, in the order in which they were set. */
export class FieldList implements HeaderSource {
  /** Names and values by turns. */
  readonly #fields: string[];

  constructor(name: string, value: string) {
    this.#fields = [name, value];
  }

  /** @param name in lower case */
  set(name: string, value: string): void {
    const fields = this.#fields;
    for (let at = 0; at < fields.length; at += 2) {
      if (fields[at] !== name) continue;
      fields[at + 1] = value;
      return;
    }
    fields.push(name, value);
  }

  /** The value of a name in lower case; undefined for none. */
  get(name: string): string | undefined {
    const fields = this.#fields;
    for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1];
    return undefined;
  }

  each(take: TakeHeader): void {
    const fields = this.#fields;
    for (let at = 0; at < fields.length; at += 2) take(fields[at] ?? "", fields[at + 1] ?? "");
  }

  toHeaders(): Headers {
    const headers = new Headers();
    this.each((name, value) => headers.append(name, value));
    return headers;
  }
}
