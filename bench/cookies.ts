import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { SessionRecordSchema } from "../gen/ts_ms/session/v1/session_pb.ts";
import { SessionKeys } from "../src/gateway/session/session-keys.ts";
import { newId } from "../src/gateway/session/session-store.ts";

/** Cookies of sessions with the file of the key that opens them. */
export interface Cookies {
  readonly keysFile: string;
  /** Values of `Cookie`. */
  readonly cookies: readonly string[];
  /** Removes the file. */
  readonly remove: () => Promise<void>;
}

/** Makes the cookies of as many visitors who have logged in, good for an hour. */
export async function makeCookies(count: number): Promise<Cookies> {
  const folder = await mkdtemp(join(tmpdir(), "ts-ms-cookies-"));
  const key = randomBytes(32);
  const keysFile = join(folder, "session.keys");
  await writeFile(keysFile, `${key.toString("base64")}\n`, { mode: 0o600 });
  const keys = new SessionKeys([key]);
  const end = BigInt(Date.now() + 3_600_000);
  const cookies = Array.from({ length: count }, (_, index) => {
    const principal = { id: `user-${index}`, scopes: ["books:read"], roles: ["reader"] };
    const record = create(SessionRecordSchema, { jti: newId(), exp: end, idle: end, principal });
    return `__Host-session=${keys.seal(toBinary(SessionRecordSchema, record))}`;
  });
  return { keysFile, cookies, remove: () => rm(folder, { recursive: true }) };
}
