import type { DescService } from "@bufbuild/protobuf";
import type { Gate } from "../admission/gate.ts";
import type { Interceptor } from "../call/interceptors.ts";
import { checkOptions } from "../config/check-options.ts";
import { AccessGate, AccessTable, type AccessOptions } from "./access-rules.ts";
import type { AuthProviderSource } from "./auth-provider.ts";
import { Authenticator } from "./authenticator.ts";
import { authDefaults, type AuthOptions } from "./security-options.ts";
import type { SecurityLogger } from "./security-parts.ts";

/** Who may call what, and how callers show who they are. */
export interface SecurityOptions extends Omit<AuthOptions, "providers"> {
  /** Who vouches for clients, by names that are the `provider` of principals. Default: none. */
  readonly auth?: Readonly<Record<string, AuthProviderSource>>;
  /** Who may call what. Default: every principal may call everything; without providers, every client. */
  readonly access?: Partial<AccessOptions>;
  /** Where is written what operators should know. Default: nowhere. */
  readonly logger?: SecurityLogger | undefined;
}

/** What servers are given to guard them. */
export interface Security extends AsyncDisposable {
  /** The option `gates` of every `GrpcServer` and `HttpServer`, the same for all of one process. */
  readonly gates: readonly Gate[];
  /** The option `interceptors` of every `GrpcServer`; rules that read messages are gates, so that the list is empty. */
  readonly interceptors: readonly Interceptor[];
  /**
   * Interceptors of calls to a server behind this one, for the option `interceptors` of `HttpServer` or `dial`, as the
   * option `forward` says.
   *
   * @param audience the server, as it knows itself: `users:42001`
   */
  hop(audience: string): readonly Interceptor[];
  /** The access rules in use; a reload puts others in their place. */
  readonly rules: AccessTable;
  /** Checks the names in access rules. @throws SetupError naming a rule that is for none of these services */
  check(services: readonly DescService[]): void;
  /** Exchanges all options. What is wrong changes nothing; open streams that are not allowed any more end. @throws SetupError */
  reload(options: SecurityOptions): Promise<void>;
  /** Ends fetches, timers and watches. */
  close(): void;
}

/**
 * Opens authentication and compiles access rules.
 *
 * @throws SetupError for options and files that cannot be used
 */
export async function createSecurity(options: SecurityOptions): Promise<Security> {
  checkSecurity(options);
  const table = tableOf(options);
  const made: { gate?: AccessGate } = {};
  const authenticator = await Authenticator.open(
    authOptionsOf(options),
    (call) => made.gate?.needOf(call) ?? "required",
    { logger: options.logger },
  );
  const access = (made.gate = new AccessGate({ table, challenges: authenticator }, { canChange: true }));
  let current = table;
  return {
    gates: [authenticator.gate, access],
    interceptors: [],
    get rules() {
      return current;
    },
    hop: (audience) => authenticator.hop(audience),
    check: (services) => current.checkNames(services),
    async reload(next) {
      checkSecurity(next);
      const changed = tableOf(next);
      const swap = await authenticator.prepare(authOptionsOf(next));
      swap();
      current = changed;
      access.use({ table: changed, challenges: authenticator });
    },
    close: () => authenticator.close(),
    [Symbol.asyncDispose]: () => Promise.resolve(authenticator.close()),
  };
}

function checkSecurity(options: SecurityOptions): void {
  const { providers: _, ...auth } = authDefaults;
  checkOptions<SecurityOptions>("createSecurity", options, {
    ...auth,
    auth: undefined,
    access: undefined,
    logger: undefined,
  });
}

function tableOf({ auth = {}, access = {} }: SecurityOptions): AccessTable {
  return new AccessTable(access, Object.keys(auth).length > 0);
}

function authOptionsOf({
  auth = {},
  access: _access,
  logger: _logger,
  ...more
}: SecurityOptions): AuthOptions {
  return { ...more, providers: auth };
}
