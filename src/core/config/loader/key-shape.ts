/** What the text of a value means, by the numbers of `ts_ms.config.v1.Unit`. */
export const Unit = {
  UNSPECIFIED: 0,
  DURATION: 1,
  SIZE: 2,
  RATE: 3,
  PORT: 4,
  RATIO: 5,
  HOST: 6,
  FILE: 7,
  FOLDER: 8,
  URL: 9,
  CIDR: 10,
  PATH: 11,
} as const;

/** One of the values of `Unit`. */
export type Unit = (typeof Unit)[keyof typeof Unit];

/** How a key is read: `ts_ms.config.v1.Key`, with what its default says where a contract says nothing. */
export interface KeyOption {
  readonly env: readonly string[];
  readonly aliases: readonly string[];
  readonly flag: string;
  readonly unit: Unit;
  readonly min?: number;
  readonly max?: number;
  readonly default?: string;
  readonly secret: boolean;
  readonly reload: boolean;
  readonly choices: readonly string[];
  readonly short: string;
  readonly always: boolean;
  readonly programs: readonly string[];
  readonly plainEnv: boolean;
  readonly required: boolean;
  readonly withoutEffect: string;
}

/** What one value of a key is. */
export type ValueType = "text" | "bool" | "count" | "number" | "enum" | "section";

/** A field of a message of the configuration. */
export interface KeyShape {
  /** As in files: `read_timeout`. */
  readonly name: string;
  /** As in code: `readTimeout`. */
  readonly localName: string;
  readonly shape: "single" | "list" | "map";
  readonly type: ValueType;
  /** The message of a section, without its package. */
  readonly section?: string;
  /** The numbers of an enum, by their names. */
  readonly numbers?: Readonly<Record<string, number>>;
  /** Whether it can be without a value. */
  readonly isOptional?: boolean;
  readonly option?: Partial<KeyOption>;
}

/** The fields of each message of the configuration as JSON, by its name without the package. */
export type KeyShapes = Readonly<Record<string, string>>;
