import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

/** Issuer and audience of the tokens. */
export const tokenIssuer = "https://id.example";
export const tokenAudience = "bench";

/** Tokens with the file of the key that verifies them. */
export interface Tokens {
  readonly jwksFile: string;
  /** Values of `Authorization`. */
  readonly authorizations: readonly string[];
  /** Removes the file. */
  readonly remove: () => Promise<void>;
}

/** Makes tokens of as many callers, by RS256, good for an hour. */
export async function makeTokens(count: number): Promise<Tokens> {
  const folder = await mkdtemp(join(tmpdir(), "ts-ms-tokens-"));
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const jwksFile = join(folder, "jwks.json");
  const jwk = { ...(await exportJWK(publicKey)), kid: "bench", alg: "RS256", use: "sig" };
  await writeFile(jwksFile, JSON.stringify({ keys: [jwk] }));
  const authorizations = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const claims = {
        scope: "books:read books:write",
        roles: ["reader"],
        client_id: "bench",
        jti: `token-${index}`,
      };
      const token = await new SignJWT(claims)
        .setProtectedHeader({ alg: "RS256", kid: "bench", typ: "at+jwt" })
        .setIssuer(tokenIssuer)
        .setAudience(tokenAudience)
        .setSubject(`user-${index}`)
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(privateKey);
      return `Bearer ${token}`;
    }),
  );
  return { jwksFile, authorizations, remove: () => rm(folder, { recursive: true }) };
}
