import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { SetupError } from "../errors/setup-error.ts";
import { IpRanges, parseIpRange } from "../config/ip-ranges.ts";
import { AuthFailure } from "./auth-failure.ts";
import type { AuthProvider, ProviderKit } from "./auth-provider.ts";
import type { Presented } from "./presented.ts";
import type { Principal } from "./principal.ts";
import { listField, readRecords, textField, timeField, type FileRecord } from "./record-file.ts";
import { watchFile, type WatchedFile } from "./watched-file.ts";
import { wordSet } from "./word-sets.ts";

/** Where API keys are presented, and which there are. */
export interface ApiKeyOptions {
  /** Header of the keys. Default: `x-api-key`. */
  readonly header?: string;
  /**
   * File of the keys, in YAML or JSON, read again when it changes: a list of `id`, `hash` (`sha256:BASE64URL`, the
   * digest of the whole key) and, if wanted, `scopes`, `roles`, `not_before`, `expires_at`, `ips` (addresses and
   * networks such as `10.0.0.0/8`). Required. `createApiKey` makes keys with their hashes.
   */
  readonly keysFile: string;
}

/** A new key. */
export interface NewApiKey {
  /** What the client sends: `tsms_ID_SECRET`. It is shown this once. */
  readonly key: string;
  /** What the file of keys holds: `sha256:BASE64URL`. */
  readonly hash: string;
}

/**
 * Makes an API key with a secret of 256 bits.
 *
 * @param id of its principal: letters, digits, `.`, `_` and `-`, 64 at most
 * @throws SetupError for another id
 */
export function createApiKey(id: string): NewApiKey {
  checkId(id, "createApiKey: the id");
  const key = `tsms_${id}_${randomBytes(32).toString("base64url")}`;
  return { key, hash: `${hashPrefix}${hash("sha256", key, "base64url")}` };
}

const hashPrefix = "sha256:";

function checkId(id: string, place: string): void {
  if (/^[\w.-]{1,64}$/.test(id)) return;
  throw new SetupError(
    `${place} must be 1 to 64 letters, digits, ".", "_" or "-", not ${JSON.stringify(id)}`,
  );
}

/** A key of the file. */
interface ApiKey {
  readonly digest: Buffer;
  readonly principal: Principal;
  readonly notBeforeMs: number;
  readonly expiresAtMs: number;
  /** Networks that it may come from; undefined for any. */
  readonly networks: IpRanges | undefined;
}

const fields = ["id", "hash", "scopes", "roles", "not_before", "expires_at", "ips"] as const;

/** A larger file of keys is refused, in bytes. */
const maxFileBytes = 16 * 1024 * 1024;

/** Opens a provider of API keys. @throws SetupError if the file cannot be used */
export async function openApiKeys(
  header: string,
  keysFile: string,
  name: string,
  kit: ProviderKit,
): Promise<AuthProvider> {
  const parse = (text: string, file: string): ReadonlyMap<string, ApiKey> => parseKeys(text, file, name);
  const file = await watchFile({ path: keysFile, maxBytes: maxFileBytes, isSecret: true, parse }, kit);
  return new ApiKeyProvider(name, header, file, kit);
}

function parseKeys(text: string, file: string, provider: string): ReadonlyMap<string, ApiKey> {
  const keys = new Map<string, ApiKey>();
  const ids = new Set<string>();
  for (const record of readRecords(text, file, [...fields, "key"])) {
    const key = readKey(record, provider);
    const digest = key.digest.toString("latin1");
    if (ids.has(key.principal.id)) throw new SetupError(`${record.place}: another record has this id`);
    if (keys.has(digest)) throw new SetupError(`${record.place}: another record has this hash`);
    ids.add(key.principal.id);
    keys.set(digest, key);
  }
  return keys;
}

function readKey(record: FileRecord, provider: string): ApiKey {
  const { place } = record;
  const id = textField(record, "id");
  checkId(id, `${place}: the id`);
  const expiresAtMs = timeField(record, "expires_at");
  const principal: Principal = Object.freeze({
    id,
    provider,
    kind: "api-key",
    issuer: undefined,
    scopes: wordSet(listField(record, "scopes")),
    roles: wordSet(listField(record, "roles")),
    claims: Object.freeze({ sub: id }),
    expiresAtMs,
  });
  return {
    digest: readHash(record),
    principal,
    notBeforeMs: timeField(record, "not_before") ?? Number.NEGATIVE_INFINITY,
    expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY,
    networks: readNetworks(listField(record, "ips"), place),
  };
}

function readHash(record: FileRecord): Buffer {
  const { fields: given, place } = record;
  const cure = "the file holds hashes alone, as createApiKey makes them: sha256:BASE64URL";
  if (given["key"] !== undefined) throw new SetupError(`${place} has a key in plain text; ${cure}`);
  const text = textField(record, "hash");
  const digest = Buffer.from(text.slice(hashPrefix.length), "base64url");
  const isHash =
    text.startsWith(hashPrefix) &&
    digest.length === 32 &&
    digest.toString("base64url") === text.slice(hashPrefix.length);
  if (!isHash) throw new SetupError(`${place}: the field hash is none; ${cure}`);
  return digest;
}

function readNetworks(texts: readonly string[], place: string): IpRanges | undefined {
  if (texts.length === 0) return undefined;
  const ranges = texts.map((text) => {
    const range = parseIpRange(text);
    if (range !== undefined) return range;
    throw new SetupError(
      `${place}: ips must be addresses or networks such as 10.0.0.0/8, not ${JSON.stringify(text)}`,
    );
  });
  return new IpRanges(ranges);
}

/** Finds the principals of API keys by the digests of these. */
class ApiKeyProvider implements AuthProvider {
  readonly name: string;
  readonly kind = "api-key";
  readonly place: { readonly in: "header"; readonly name: string };
  readonly #file: WatchedFile<ReadonlyMap<string, ApiKey>>;
  readonly #kit: ProviderKit;

  constructor(
    name: string,
    header: string,
    file: WatchedFile<ReadonlyMap<string, ApiKey>>,
    kit: ProviderKit,
  ) {
    this.name = name;
    this.place = Object.freeze({ in: "header", name: header });
    this.#file = file;
    this.#kit = kit;
  }

  verify({ digest, call }: Presented): Principal | undefined {
    // What a client can vary is the digest, of which it cannot choose a bit; the comparison takes the same time for all.
    const key = this.#file.value.get(digest);
    if (key === undefined || !timingSafeEqual(key.digest, Buffer.from(digest, "latin1"))) return undefined;
    this.#check(key, call.client.ip);
    return key.principal;
  }

  close(): void {
    this.#file.close();
  }

  #check({ principal, notBeforeMs, expiresAtMs, networks }: ApiKey, ip: string): void {
    const nowMs = this.#kit.wallMs();
    if (nowMs >= expiresAtMs) throw new AuthFailure("KEY_EXPIRED", "the key has expired");
    if (nowMs < notBeforeMs) throw new AuthFailure("KEY_NOT_YET_VALID", "the key is not valid yet");
    if (this.#kit.revocations.has(principal)) throw new AuthFailure("KEY_REVOKED", "the key is revoked");
    if (networks?.has(ip) === false) {
      throw new AuthFailure("KEY_WRONG_ADDRESS", "the key may not be used from this address");
    }
  }
}
