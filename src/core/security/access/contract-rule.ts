import { getOption, hasOption, type DescMethod } from "@bufbuild/protobuf";
import {
  access,
  service_access as serviceAccess,
  type AccessRule,
} from "../../../../gen/ts_ms/v1/options_pb.ts";
import type { DoorName } from "../../admission/call-head.ts";
import { rpcName } from "../../call/service.ts";
import type { AccessLevel } from "../../admission/access-level.ts";
import type { AccessRuleInit } from "./access-options.ts";

/** A rule, and where it is written. */
export interface PlacedRule {
  readonly rule: AccessRuleInit;
  /** For errors and lists. */
  readonly place: string;
}

/** What the contract says of who may call an rpc; undefined where it says nothing. */
export function contractRule(method: DescMethod): PlacedRule | undefined {
  if (hasOption(method, access)) {
    return {
      rule: toInit(getOption(method, access)),
      place: `option (ts_ms.v1.access) of ${rpcName(method)}`,
    };
  }
  const { parent } = method;
  if (!hasOption(parent, serviceAccess)) return undefined;
  const place = `option (ts_ms.v1.service_access) of ${parent.typeName}`;
  return { rule: toInit(getOption(parent, serviceAccess)), place };
}

/** Words of a contract are checked with those of the configuration, when the rule is compiled. */
function toInit(message: AccessRule): AccessRuleInit {
  const { level, doors, resource, when, match, ...lists } = message;
  return {
    ...lists,
    level: level as AccessLevel | undefined,
    doors: doors as DoorName[],
    resource,
    when,
    match,
  };
}
