import { show } from "../config/check-options.ts";
import { yaml } from "../config/yaml.ts";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";

/** A record of a file: its fields, and where it stands, for errors. */
export interface FileRecord {
  readonly fields: Readonly<Record<string, unknown>>;
  /** `keys.yaml: record 2`. */
  readonly place: string;
}

/**
 * Reads a file that is a list of records, in YAML or JSON. Errors never show a value of it.
 *
 * @param known names of fields
 * @throws SetupError naming file and record
 */
export function readRecords(text: string, file: string, known: readonly string[]): FileRecord[] {
  const list = parse(text, file);
  if (!Array.isArray(list)) throw new SetupError(`${file}: this is no list of records`);
  return (list as readonly unknown[]).map((record, index) => {
    const place = `${file}: record ${index + 1}`;
    if (typeof record !== "object" || record === null || Array.isArray(record)) {
      throw new SetupError(`${place} is no map of fields`);
    }
    for (const name of Object.keys(record)) if (!known.includes(name)) throw unknownField(place, name, known);
    return { fields: record as FileRecord["fields"], place }; // As checked.
  });
}

function parse(text: string, file: string): unknown {
  try {
    // JSON is YAML; the parser is loaded by those that have such a file.
    return yaml().parse(text, { maxAliasCount: 0, prettyErrors: false, logLevel: "error" });
  } catch {
    throw new SetupError(`${file}: this is neither YAML nor JSON`);
  }
}

function unknownField(place: string, name: string, known: readonly string[]): SetupError {
  const near = nearestName(name, known);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return new SetupError(`${place} has an unknown field ${JSON.stringify(name)}${hint}`);
}

/** The field of a text that must be there. @throws SetupError */
export function textField({ fields, place }: FileRecord, name: string): string {
  const value = fields[name];
  if (typeof value === "string" && value !== "") return value;
  throw new SetupError(`${place}: the field ${name} must be a text`);
}

/** The field of a list of texts; none: an empty list. @throws SetupError */
export function listField({ fields, place }: FileRecord, name: string): readonly string[] {
  const value = fields[name] ?? [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw new SetupError(`${place}: the field ${name} must be a list of texts`);
}

/** The field of a time such as `2026-12-31T00:00:00Z`, in milliseconds since 1970; undefined for none. @throws SetupError */
export function timeField({ fields, place }: FileRecord, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  const isTime =
    typeof value === "string" &&
    /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.test(value);
  const ms = isTime ? Date.parse(value) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new SetupError(
    `${place}: the field ${name} must be a time such as 2026-12-31T00:00:00Z, not ${show(value)}`,
  );
}
