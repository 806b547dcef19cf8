import { pathText, type Bound, type BoundSection, type BoundValue } from "./bound.ts";
import type { Problems } from "./config-error.ts";

/**
 * Checks what several keys say together.
 *
 * @param told the keys whose mistakes are told already
 * @param warnings takes what is allowed and should be known all the same
 */
export function checkTogether(
  root: BoundSection,
  problems: Problems,
  told: ReadonlySet<string>,
  warnings: Set<string>,
): void {
  checkTimes(root, problems);
  checkTls(root, problems, told);
  checkBrowsers(root, problems, warnings);
  checkProviders(root, problems, told);
  checkContracts(root, problems, told);
  checkLimits(root, problems, told);
  checkRedis(root, problems, told);
}

function checkTimes(root: BoundSection, problems: Problems): void {
  const ping = valueAt(root, "websocket", "ping_period");
  const pong = valueAt(root, "websocket", "pong_wait");
  if (ping !== undefined && pong !== undefined && pong.value <= ping.value) {
    problems.add(
      pong.place.at,
      `websocket.pong_wait: ${pong.shown} is not longer than websocket.ping_period, ${ping.shown} at ${ping.place.at}`,
    );
  }
  const timeout = valueAt(root, "http", "timeout");
  const most = valueAt(root, "http", "max_timeout");
  if (timeout !== undefined && most !== undefined && most.value !== 0 && timeout.value > most.value) {
    problems.add(
      timeout.place.at,
      `http.timeout: ${timeout.shown} is longer than http.max_timeout, ${most.shown} at ${most.place.at}`,
    );
  }
}

function checkTls(root: BoundSection, problems: Problems, told: ReadonlySet<string>): void {
  if (["tls.cert", "tls.key", "tls.ca"].some((path) => told.has(path))) return;
  const cert = valueAt(root, "tls", "cert");
  const key = valueAt(root, "tls", "key");
  const ca = valueAt(root, "tls", "ca");
  const client = valueAt(root, "tls", "client");
  if (cert !== undefined && key === undefined) problems.add(cert.place.at, "tls.cert needs tls.key");
  if (key !== undefined && cert === undefined) problems.add(key.place.at, "tls.key needs tls.cert");
  if (ca !== undefined && cert === undefined) problems.add(ca.place.at, "tls.ca needs tls.cert and tls.key");
  if (client !== undefined && client.value !== "none" && ca === undefined) {
    problems.add(client.place.at, `tls.client: ${client.shown} needs tls.ca`);
  }
}

function checkBrowsers(root: BoundSection, problems: Problems, warnings: Set<string>): void {
  const credentials = valueAt(root, "http", "cors", "credentials");
  const origins = keyAt(root, "http", "cors", "origins");
  const open = origins?.kind === "list" ? origins.items.find(isAnyOrigin) : undefined;
  if (credentials?.value === true && open !== undefined) {
    problems.add(
      credentials.place.at,
      `http.cors.credentials: not with * among http.cors.origins, at ${open.place.at}: name the origins`,
    );
  }
  const check = valueAt(root, "websocket", "check_origin");
  if (check?.value === false) {
    warnings.add(
      `websocket.check_origin is false (${check.place.origin}): pages of any origin may open WebSockets with the ` +
        "cookies and certificates of their visitors",
    );
  }
  const name = valueAt(root, "session", "name");
  const domain = valueAt(root, "session", "domain");
  if (domain !== undefined && name !== undefined && String(name.value).startsWith("__Host-")) {
    problems.add(domain.place.at, "session.domain: not with a cookie whose name begins with __Host-");
  }
}

function isAnyOrigin(item: BoundValue | BoundSection): boolean {
  return item.kind === "value" && item.value === "*";
}

function checkProviders(root: BoundSection, problems: Problems, told: ReadonlySet<string>): void {
  for (const [name, provider] of entriesAt(root, "auth", "providers")) {
    const kinds = [...provider.keys.keys()];
    if (kinds.length === 1 || isTold(told, `${pathText(["auth", "providers", name])}.`)) continue;
    const found = kinds.length === 0 ? "none" : kinds.join(" and ");
    problems.add(
      provider.place.at,
      `${pathText(["auth", "providers", name])}: expected one of jwt, api_key, basic, introspection or mtls, found ${found}`,
    );
  }
}

function checkContracts(root: BoundSection, problems: Problems, told: ReadonlySet<string>): void {
  for (const [name, upstream] of entriesAt(root, "upstreams")) {
    const contract = upstream.keys.get("contract");
    if (contract?.kind !== "section") continue;
    const kinds = [...contract.keys.keys()].filter((key) => key !== "paths");
    const path = pathText(["upstreams", name, "contract"]);
    if (kinds.length === 1 || isTold(told, `${path}.`)) continue;
    problems.add(contract.place.at, `${path}: expected one of reflection, descriptors, proto or same_as`);
  }
}

function checkLimits(root: BoundSection, problems: Problems, told: ReadonlySet<string>): void {
  const hasRedis = keyAt(root, "stores", "redis") !== undefined;
  for (const [name, limit] of entriesAt(root, "limits")) {
    const path = pathText(["limits", name]);
    const rate = limit.keys.get("rate");
    const burst = limit.keys.get("burst");
    needsRedis(limit.keys.get("store"), `${path}.store`, hasRedis, problems);
    if (isTold(told, `${path}.`)) continue;
    if (rate === undefined && limit.keys.get("concurrent") === undefined) {
      problems.add(limit.place.at, `${path}: expected rate, concurrent or both`);
    }
    if (burst !== undefined && rate === undefined) problems.add(burst.place.at, `${path}.burst needs rate`);
  }
}

function checkRedis(root: BoundSection, problems: Problems, told: ReadonlySet<string>): void {
  const redis = keyAt(root, "stores", "redis");
  const hasRedis = redis !== undefined || isTold(told, "stores");
  needsRedis(keyAt(root, "session", "store"), "session.store", hasRedis, problems);
  needsRedis(keyAt(root, "signatures", "replay_store"), "signatures.replay_store", hasRedis, problems);
  if (redis?.kind !== "section" || isTold(told, "stores.redis.")) return;
  const [url, sentinels, master] = ["url", "sentinels", "master"].map((key) => redis.keys.get(key));
  if (url === undefined && sentinels === undefined) {
    problems.add(redis.place.at, "stores.redis: expected url, or sentinels with master");
  }
  if (sentinels !== undefined && master === undefined) {
    problems.add(sentinels.place.at, "stores.redis.sentinels needs master");
  }
}

function isTold(told: ReadonlySet<string>, start: string): boolean {
  for (const path of told) if (path.startsWith(start)) return true;
  return false;
}

function needsRedis(store: Bound | undefined, path: string, hasRedis: boolean, problems: Problems): void {
  if (store?.kind === "value" && store.value === "redis" && !hasRedis) {
    problems.add(store.place.at, `${path}: redis needs stores.redis`);
  }
}

function keyAt(root: BoundSection, ...path: readonly string[]): Bound | undefined {
  let bound: Bound | undefined = root;
  for (const name of path) bound = bound?.kind === "section" ? bound.keys.get(name) : undefined;
  return bound;
}

function valueAt(root: BoundSection, ...path: readonly string[]): BoundValue | undefined {
  const bound = keyAt(root, ...path);
  return bound?.kind === "value" ? bound : undefined;
}

function entriesAt(
  root: BoundSection,
  ...path: readonly string[]
): readonly (readonly [string, BoundSection])[] {
  const map = keyAt(root, ...path);
  if (map?.kind !== "map") return [];
  return [...map.entries].flatMap(([name, entry]) =>
    entry.kind === "section" ? [[name, entry] as const] : [],
  );
}
