import type { AccessConfig, AccessRuleConfig } from "../../../../gen/ts_ms/config/v1/access_pb.ts";
import type { AccessLevel } from "../../admission/access-level.ts";
import type { AccessOptions, AccessRuleInit } from "./access-options.ts";
import type { DoorName } from "../../admission/call-head.ts";

/** The options that the section `access` of a configuration states. Its words are checked when a table is made of it. */
export function accessOptions({
  default: byDefault,
  health,
  reflection,
  rules,
}: AccessConfig): Partial<AccessOptions> {
  return {
    default: level(byDefault),
    ...(health !== "" && { health: health as AccessLevel }),
    reflection: level(reflection),
    rules: Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, ruleOf(rule)])),
  };
}

function ruleOf({ level: word, doors, resource, when, match, ...lists }: AccessRuleConfig): AccessRuleInit {
  return {
    ...lists,
    level: level(word),
    doors: doors as DoorName[],
    resource: resource === "" ? undefined : resource,
    when: when === "" ? undefined : when,
    match,
  };
}

function level(word: string | undefined): AccessLevel | undefined {
  return word === undefined || word === "" ? undefined : (word as AccessLevel);
}
