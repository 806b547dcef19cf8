import type { Place } from "./source-node.ts";

/** A checked value of a key. */
export interface BoundValue {
  readonly kind: "value";
  readonly value: string | number | boolean;
  /** As it is shown: as it was written, secrets masked. */
  readonly shown: string;
  readonly place: Place;
}

/** A checked list. */
export interface BoundList {
  readonly kind: "list";
  readonly items: readonly (BoundValue | BoundSection)[];
  readonly place: Place;
}

/** A checked section, with the keys that are set. */
export interface BoundSection {
  readonly kind: "section";
  /** By the names of the fields. */
  readonly keys: Map<string, Bound>;
  readonly place: Place;
}

/** A checked map, with the entries that are set. */
export interface BoundMap {
  readonly kind: "map";
  readonly entries: Map<string, BoundValue | BoundSection | BoundReset>;
  readonly place: Place;
}

/** Null: the value that was there before the first file. */
export interface BoundReset {
  readonly kind: "reset";
  readonly place: Place;
}

/** What a source says of a key. */
export type Bound = BoundValue | BoundList | BoundSection | BoundMap | BoundReset;

/** The text of a path: `http.port`, `access.rules["pkg.S/M"].level`, `tls.sni[0].cert`. */
export function pathText(path: readonly (string | number)[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (!/^[\w-]+$/.test(part)) text += `[${JSON.stringify(part)}]`;
    else text += text === "" ? part : `.${part}`;
  }
  return text;
}
