/** Where a part of a source is. */
export interface Place {
  /** As errors begin: `config.yaml:5:14`, `environment TS_MS_HTTP_PORT`, `--set http.port=x`. */
  readonly at: string;
  /** As a value's origin is shown: `config.yaml:5`, `environment TS_MS_HTTP_PORT`, `--set`. */
  readonly origin: string;
}

/** One value of a source. */
export interface SourceScalar {
  readonly kind: "scalar";
  readonly place: Place;
  /** As its format says it; what comes from the environment or a flag is text. */
  readonly value: string | number | boolean | null;
  /** As it was written. */
  readonly text: string;
  /** The text with the contents of secret files replaced, if it has any. */
  readonly masked?: string;
  /** Whether it may be shown in errors. Default: true. */
  readonly hidden?: boolean;
  /** Whether a number is milliseconds or bytes, as code says them. Default: false, durations have units. */
  readonly isCode?: boolean;
  /** Null that was not written: `key:` and nothing behind it. */
  readonly isImplicit?: boolean;
  /** Why it has no value, unless it is in a section that is switched off. */
  readonly missing?: string;
}

/** A list of a source. */
export interface SourceList {
  readonly kind: "list";
  readonly place: Place;
  readonly items: readonly SourceNode[];
}

/** One entry of a map of a source. */
export interface SourceEntry {
  readonly key: string;
  /** Of the key. */
  readonly place: Place;
  readonly value: SourceNode;
}

/** A map of a source; a key may be in it more than once. */
export interface SourceMap {
  readonly kind: "map";
  readonly place: Place;
  readonly entries: readonly SourceEntry[];
}

/** What could not be read, and has been told. */
export interface SourceBroken {
  readonly kind: "broken";
  readonly place: Place;
}

/** A part of a source, before it is known what its keys mean. */
export type SourceNode = SourceScalar | SourceList | SourceMap | SourceBroken;
