import { Code } from "../errors/errors.ts";
import { retryInfo } from "../errors/retry-info.ts";
import { SetupError } from "../errors/setup-error.ts";
import { refusal } from "../admission/refusal.ts";
import { AuthFailure } from "./auth-failure.ts";
import type { AuthProvider, ProviderKit } from "./auth-provider.ts";
import type { Presented } from "./presented.ts";
import type { Principal } from "./principal.ts";
import { listField, readRecords, textField, type FileRecord } from "./record-file.ts";
import { RememberedCredentials } from "./remembered.ts";
import { fitsPassword, parsePasswordHash, type PasswordHash } from "./scrypt.ts";
import { Turns } from "./turns.ts";
import { watchFile, type WatchedFile } from "./watched-file.ts";
import { wordSet } from "./word-sets.ts";

/** Which names and passwords are good (RFC 7617). */
export interface BasicOptions {
  /**
   * File of the users, in YAML or JSON, read again when it changes: a list of `id`, `hash` (scrypt, as `hashPassword`
   * makes it) and, if wanted, `scopes` and `roles`. Required.
   */
  readonly usersFile: string;
  /** Realm that browsers show. Default: the name of the provider. */
  readonly realm?: string | undefined;
}

interface User {
  readonly hash: PasswordHash;
  readonly principal: Principal;
}

const fields = ["id", "hash", "scopes", "roles"] as const;

/** A larger file of users is refused, in bytes. */
const maxFileBytes = 16 * 1024 * 1024;

/** How long a good pair is not verified again, in milliseconds. */
const rememberedMs = 60_000;

/** Passwords are verified two at a time, for each takes a thread and 32 MiB; others wait so long, in milliseconds. */
const atATime = 2;
const longestWaitMs = 1_000;

/** Opens a provider of names and passwords. @throws SetupError if the file cannot be used */
export async function openBasic(
  { usersFile, realm }: BasicOptions,
  name: string,
  kit: ProviderKit,
): Promise<AuthProvider> {
  const parse = (text: string, file: string): ReadonlyMap<string, User> => parseUsers(text, file, name);
  const onChange = (): void => provider.forget();
  const file = await watchFile(
    { path: usersFile, maxBytes: maxFileBytes, isSecret: true, parse, onChange },
    kit,
  );
  const provider = new BasicProvider(name, realm, file, kit);
  return provider;
}

function parseUsers(text: string, file: string, provider: string): ReadonlyMap<string, User> {
  const users = new Map<string, User>();
  for (const record of readRecords(text, file, fields)) {
    const user = readUser(record, provider);
    if (users.has(user.principal.id)) throw new SetupError(`${record.place}: another record has this id`);
    users.set(user.principal.id, user);
  }
  return users;
}

function readUser(record: FileRecord, provider: string): User {
  const id = textField(record, "id");
  // A colon ends the name in the header (RFC 7617 2).
  if (id.includes(":")) throw new SetupError(`${record.place}: the id must not have a colon`);
  const principal: Principal = Object.freeze({
    id,
    provider,
    kind: "basic",
    issuer: undefined,
    scopes: wordSet(listField(record, "scopes")),
    roles: wordSet(listField(record, "roles")),
    claims: Object.freeze({ sub: id }),
    expiresAtMs: undefined,
  });
  try {
    return { hash: parsePasswordHash(textField(record, "hash")), principal };
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw new SetupError(
      `${record.place}: the field hash is none: ${error instanceof Error ? error.message : ""}`,
    );
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Verifies names and passwords. */
class BasicProvider implements AuthProvider {
  readonly name: string;
  readonly kind = "basic";
  readonly place = Object.freeze({ in: "basic" });
  readonly realm: string | undefined;
  readonly #file: WatchedFile<ReadonlyMap<string, User>>;
  readonly #kit: ProviderKit;
  readonly #remembered = new RememberedCredentials();
  readonly #turns: Turns;
  /** Grows when the file changes or something is revoked. */
  #version = 0;

  constructor(
    name: string,
    realm: string | undefined,
    file: WatchedFile<ReadonlyMap<string, User>>,
    kit: ProviderKit,
  ) {
    this.name = name;
    this.realm = realm;
    this.#file = file;
    this.#kit = kit;
    this.#turns = new Turns(atATime, kit.clock);
  }

  recall({ digest }: Presented): Principal | undefined {
    return this.#remembered.get(digest, this.#kit.wallMs())?.principal;
  }

  async verify({ credential, digest }: Presented): Promise<Principal> {
    const version = this.#version;
    const { id, password } = readPair(credential);
    const user = this.#file.value.get(id);
    const fits = await this.#fits(password, user);
    if (user === undefined || !fits) throw wrong();
    const { principal } = user;
    if (this.#kit.revocations.has(principal)) throw new AuthFailure("USER_REVOKED", "the user is revoked");
    const untilMs = this.#kit.wallMs() + rememberedMs;
    if (version === this.#version) this.#remembered.set(digest, { principal, untilMs, boundTo: undefined });
    return principal;
  }

  forget(): void {
    this.#version++;
    this.#remembered.clear();
  }

  close(): void {
    this.#file.close();
  }

  /** An unknown name takes as long as a known one, so that names cannot be found out. */
  async #fits(password: string, user: User | undefined): Promise<boolean> {
    const [any] = this.#file.value.values();
    const hash = (user ?? any)?.hash;
    if (hash === undefined) return false;
    const end = await this.#turns.begin(longestWaitMs);
    if (end === undefined) throw tooBusy();
    try {
      return await fitsPassword(password, hash);
    } finally {
      end();
    }
  }
}

function readPair(credential: string): { readonly id: string; readonly password: string } {
  let text: string;
  try {
    text = utf8.decode(Buffer.from(credential, "base64"));
  } catch {
    throw wrong();
  }
  const colon = text.indexOf(":");
  if (colon === -1) throw wrong();
  return { id: text.slice(0, colon), password: text.slice(colon + 1) };
}

function wrong(): AuthFailure {
  return new AuthFailure("PASSWORD_WRONG", "the name or the password is wrong");
}

function tooBusy(): Error {
  return refusal({
    kind: "overload",
    code: Code.Unavailable,
    reason: "AUTHENTICATION_BUSY",
    message: "too many passwords are being verified; try again later",
    details: [retryInfo(longestWaitMs)],
  });
}
