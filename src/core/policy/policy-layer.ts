import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";
import type { MethodPolicyInit } from "./method-policy.ts";
import { groupOf, policyFields, type PolicyField } from "./policy-fields.ts";
import { showWrong, type PolicyValue } from "./policy-values.ts";

/** Where the value of a plan comes from. */
export type PolicySource = "default" | "contract" | "service config" | "config";

/** The values that one policy sets. */
export interface PolicyLayer {
  readonly source: PolicySource;
  /** Where it is written, for errors. */
  readonly place: string;
  /** Values by the paths of their fields. */
  readonly values: ReadonlyMap<string, PolicyValue>;
  /** Groups that it has, those without a value too: an empty `hedge` is on. */
  readonly groups: ReadonlySet<string>;
}

/** The field at this path, for raw values of a contract, and for those of code. */
const byPath: ReadonlyMap<string, PolicyField> = new Map(policyFields.map((field) => [field.path, field]));
const byOption: ReadonlyMap<string, PolicyField> = new Map(
  policyFields.map((field) => {
    const group = groupOf(field.path);
    return [group === undefined ? field.option : `${toOption(group)}.${field.option}`, field];
  }),
);
const groups: readonly string[] = [...new Set(policyFields.flatMap(({ path }) => groupOf(path) ?? []))];

/**
 * A policy as code has it.
 *
 * @param place of the policy among others, for errors
 * @throws SetupError naming place and field
 */
export function codeLayer(
  policy: MethodPolicyInit,
  place: string,
  source: PolicySource = "config",
): PolicyLayer {
  const layer = new LayerReader(source, place);
  layer.readOptions(policy, "");
  return layer.done();
}

/** Reads one policy. */
export class LayerReader {
  readonly #source: PolicySource;
  readonly #place: string;
  readonly #values = new Map<string, PolicyValue>();
  readonly #groups = new Set<string>();

  /** @param place of the policy, for errors */
  constructor(source: PolicySource, place: string) {
    this.#source = source;
    this.#place = place;
  }

  /** As a contract has it. */
  readMessage(message: ReflectMessage, prefix: string): void {
    for (const desc of message.fields) {
      if (!message.isSet(desc)) continue;
      const path = prefix + desc.name;
      if (desc.fieldKind === "message") {
        this.#groups.add(path);
        this.readMessage(message.get(desc), `${path}.`);
        continue;
      }
      const value: unknown = desc.fieldKind === "list" ? [...message.get(desc)] : message.get(desc);
      this.#set(byPath.get(path), path, value);
    }
  }

  /** As code has it. */
  readOptions(options: object, prefix: string): void {
    for (const [name, value] of Object.entries(options) as [string, unknown][]) {
      if (value === undefined || (prefix === "" && name === "selector")) continue;
      const group = groups.find((one) => prefix === "" && toOption(one) === name);
      if (group === undefined) this.#set(byOption.get(prefix + name), prefix + name, value);
      else if (typeof value === "object" && value !== null) {
        this.#groups.add(group);
        this.readOptions(value, `${name}.`);
      } else this.#refuse(name, `must be an object, not ${showWrong(value)}`);
    }
  }

  /** @throws SetupError for groups that exclude one another */
  done(): PolicyLayer {
    if (this.#groups.has("hedge") && this.#groups.has("retry")) {
      this.#refuse("hedge", "takes the place of retry: a policy has one of them");
    }
    return {
      source: this.#source,
      place: this.#place,
      values: this.#values,
      groups: this.#groups,
    };
  }

  #set(field: PolicyField | undefined, name: string, value: unknown): void {
    if (field === undefined) {
      const near = nearestName(name, byOption.keys());
      return this.#refuse(
        name,
        `is no field of a policy${near === undefined ? "" : `; did you mean ${near}?`}`,
      );
    }
    try {
      this.#values.set(field.path, field.kind.read(value));
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#refuse(name, `${problem}, not ${showWrong(value)}`);
    }
  }

  #refuse(name: string, problem: string): never {
    throw new SetupError(`${this.#place}: ${name} ${problem}`);
  }
}

function toOption(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
