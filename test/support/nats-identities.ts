import { randomUUID } from "node:crypto";
import natsClient from "@nats-io/transport-node";

const { createAccount, createOperator, createUser } = natsClient.nkeys;

type KeyPair = ReturnType<typeof createUser>;

/** What a NATS server trusts of one operator, with the credentials of a user, as `nsc` makes them. */
export interface NatsIdentities {
  /** What the configuration of the server says. */
  readonly config: string;
  /** Content of the file of the user's credentials. */
  readonly credentials: string;
}

/** Makes an operator, an account that may use JetStream, and a user of it. */
export function natsIdentities(): NatsIdentities {
  const [operator, system, account, user] = [
    createOperator(),
    createAccount(),
    createAccount(),
    createUser(),
  ];
  const anything = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1 };
  const jetStream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountToken = (of: KeyPair, limits: object): string =>
    token(operator, of, { type: "account", limits: { ...anything, ...limits } });
  const systemKey = system.getPublicKey();
  const operatorToken = token(operator, operator, { type: "operator", system_account: systemKey });
  const userToken = token(account, user, { type: "user", subs: -1, data: -1, payload: -1 });
  const preloaded = [
    `${systemKey}: ${accountToken(system, {})}`,
    `${account.getPublicKey()}: ${accountToken(account, jetStream)}`,
  ];
  return {
    config: `operator: ${operatorToken}\nresolver: MEMORY\nresolver_preload: {\n  ${preloaded.join("\n  ")}\n}\n`,
    credentials: [
      block("NATS USER JWT", userToken),
      block("USER NKEY SEED", new TextDecoder().decode(user.getSeed())),
    ].join("\n"),
  };
}

/** A JWT as those of NATS are: signed by the key that has issued it. */
function token(issuer: KeyPair, subject: KeyPair, nats: Readonly<Record<string, unknown>>): string {
  const [iss, sub] = [issuer.getPublicKey(), subject.getPublicKey()];
  const claims = { jti: randomUUID(), iat: Math.floor(Date.now() / 1_000), iss, sub, name: sub };
  const parts = [
    { typ: "JWT", alg: "ed25519-nkey" },
    { ...claims, nats: { ...nats, version: 2 } },
  ];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${text}.${Buffer.from(issuer.sign(new TextEncoder().encode(text))).toString("base64url")}`;
}

function block(name: string, content: string): string {
  return `-----BEGIN ${name}-----\n${content}\n------END ${name}------\n`;
}
