import type {
  AuthConfig,
  AuthProviderConfig,
  IntrospectionConfig,
  JwtConfig,
  MtlsConfig,
} from "../../../gen/ts_ms/config/v1/auth_pb.ts";
import type { Gate } from "../../core/admission/gate.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { ConfigError } from "../../core/config/loader/config-error.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { parseRate } from "../../core/config/rate-text.ts";
import { schemes, type JwtOptions } from "../../core/security/auth-schemes.ts";
import type { AuthProviderSource } from "../../core/security/auth-provider.ts";
import { Authenticator } from "../../core/security/authenticator.ts";
import type { FailureLimit } from "../../core/security/failure-windows.ts";
import type { ForwardMode } from "../../core/security/forward.ts";
import type { AuthOptions } from "../../core/security/security-options.ts";
import { AuthCounts } from "./auth-counts.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { makeSecurityUse } from "./security-use.ts";
import { sessionsOf } from "./sessions-of.ts";

/** An error that names a key of the configuration. */
type Mistake = SectionKit["mistake"];

/** Who makes calls: the gate of authentication, and what servers behind this program get to know of it. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const { config, logger, metrics, mistake, shared } = kit;
  const use = shared(makeSecurityUse);
  let options = await authOptionsOf(kit, config);
  const audience = audienceOf(config);
  const books = new AuthCounts();
  let unwatch: readonly (() => void)[] = [];
  // One object for all starts: servers in this process know by it which calls it has let through.
  const gate: Gate = {
    name: "authentication",
    admit(call) {
      if (use.authenticator === undefined) throw new ConnectError("the app is stopped", Code.Unavailable);
      return use.authenticator.gate.admit(call);
    },
    credentials: () => use.authenticator?.gate.credentials() ?? {},
    get documents() {
      return use.authenticator?.gate.documents ?? {};
    },
  };
  return {
    gates: { authentication: [gate] },
    get hopInterceptors() {
      return audience === undefined ? [] : (use.authenticator?.hop(audience) ?? []);
    },
    features: ["authentication"],
    async start() {
      use.authenticator = await naming(mistake, () =>
        Authenticator.open(options, (call) => use.needOf(call), { logger, books }),
      );
      unwatch = books.watchedBy(metrics);
    },
    stop() {
      for (const end of unwatch) end();
      use.authenticator?.close();
      use.authenticator = undefined;
    },
    async prepare({ next }) {
      const changed = await authOptionsOf(kit, next);
      const swap = await naming(mistake, async () => use.authenticator?.prepare(changed));
      return () => {
        options = changed;
        swap?.();
      };
    },
  };
}

/** The server behind this program as assertions name it; undefined for handlers of this process, and for several servers. */
function audienceOf({ upstream }: Config): string | undefined {
  return upstream === undefined ? undefined : (upstream.authority ?? `${upstream.host}:${upstream.port}`);
}

/** Lets mistakes in files name the section. */
async function naming<T>(mistake: Mistake, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SetupError) || error instanceof ConfigError) throw error;
    throw mistake("auth", error.message);
  }
}

async function authOptionsOf(kit: SectionKit, { auth, app, session }: Config): Promise<AuthOptions> {
  const web = session === undefined ? {} : { session: await sessionsOf(kit) };
  if (auth === undefined) return { providers: web };
  const { mistake } = kit;
  const { providers, revokedFile, forward, assertionKeyFile } = auth;
  const sources = Object.entries(providers).map(
    ([name, provider]) => [name, sourceOf(name, provider, mistake)] as const,
  );
  return {
    providers: { ...Object.fromEntries(sources), ...web },
    revokedFile,
    failures: failuresOf(auth, mistake),
    forward: forward as ForwardMode, // One of the choices of the key.
    assertionKeyFile,
    ...(app.name === undefined || app.name === "" ? {} : { assertionIssuer: app.name }),
  };
}

function failuresOf({ failures }: AuthConfig, mistake: Mistake): FailureLimit {
  const rate = parseRate(failures);
  if ("windowMs" in rate) return rate;
  throw mistake("auth.failures", "must be a rate such as 20/1m, not one of a day or a month");
}

/** @throws what `mistake` returns, for a provider that cannot be used */
function sourceOf(name: string, provider: AuthProviderConfig, mistake: Mistake): AuthProviderSource {
  const key = `auth.providers.${name}`;
  try {
    if (provider.jwt !== undefined) return schemes.jwt(jwtOptionsOf(provider.jwt));
    if (provider.apiKey !== undefined) {
      const { header, keysFile } = provider.apiKey;
      return schemes.api_key({ header, keysFile });
    }
    if (provider.basic !== undefined) {
      const { usersFile, realm } = provider.basic;
      return schemes.basic({ usersFile, realm });
    }
    if (provider.introspection !== undefined) return introspectionOf(provider.introspection);
    if (provider.mtls !== undefined) return mtlsOf(provider.mtls);
  } catch (error) {
    if (error instanceof SetupError) throw mistake(key, error.message);
    throw error;
  }
  throw mistake(key, "needs one of jwt, api_key, basic, introspection and mtls");
}

function jwtOptionsOf({
  clockSkew: clockSkewMs,
  maxTokenAge: maxTokenAgeMs,
  cacheTtl: cacheTtlMs,
  refresh: refreshMs,
  maxStale: maxStaleMs,
  cooldown: cooldownMs,
  ...jwt
}: JwtConfig): JwtOptions {
  const { issuer, audiences, jwksUri, jwksFile, types, scopesClaim, rolesClaim, idClaim } = jwt;
  return {
    ...{ issuer, audiences, jwksUri, jwksFile, types, scopesClaim, rolesClaim, idClaim },
    ...{ clockSkewMs, maxTokenAgeMs, cacheTtlMs, refreshMs, maxStaleMs, cooldownMs },
    algorithms: jwt.algorithms as NonNullable<JwtOptions["algorithms"]>, // The scheme refuses others.
  };
}

function introspectionOf(config: IntrospectionConfig): AuthProviderSource {
  const { endpoint, clientId, clientSecret, audiences } = config;
  const { timeout: timeoutMs, cacheTtl: cacheTtlMs, negativeTtl: negativeTtlMs } = config;
  return schemes.introspection({
    ...{ endpoint, clientId, clientSecret, audiences },
    ...{ timeoutMs, cacheTtlMs, negativeTtlMs },
  });
}

function mtlsOf({ names }: MtlsConfig): AuthProviderSource {
  const grants = Object.entries(names).map(([name, { roles, scopes }]) => [name, { roles, scopes }] as const);
  return schemes.mtls({ names: Object.fromEntries(grants) });
}
