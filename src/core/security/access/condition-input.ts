import type { CallHead } from "../../admission/call-head.ts";
import { rpcName } from "../../call/service.ts";
import type { ConditionObject } from "../../condition/condition.ts";
import type { Principal } from "../principal.ts";

const anonymous: ConditionObject = Object.freeze({
  id: "",
  provider: "",
  kind: "",
  issuer: "",
  scopes: [],
  roles: [],
  claims: {},
});

/** `auth` of a condition; its texts are empty where the caller is not known. */
export function authObject(who: Principal | undefined): ConditionObject {
  if (who === undefined) return anonymous;
  const { id, provider, kind, issuer = "", scopes, roles, claims } = who;
  return { id, provider, kind, issuer, scopes: [...scopes], roles: [...roles], claims };
}

/** `call` of a condition. */
export function callObject(call: CallHead): ConditionObject {
  const { method, door, client, route = "", scheme, authority, peer } = call;
  return {
    rpc: rpcName(method),
    service: method.parent.typeName,
    method: method.name,
    door,
    ip: client.ip,
    route,
    scheme,
    authority,
    peer: peer === undefined ? [] : [...peer.uris, ...peer.dnsNames],
  };
}
