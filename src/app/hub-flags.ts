import type { HubAdminService } from "../../gen/ts_ms/hub/v1/admin_pb.ts";
import type { Service } from "../core/call/service.ts";
import { countFlag, fileFlag, optionalFlag, type Flag } from "../core/config/flag-kinds.ts";
import type { FlagValues } from "../core/config/flags.ts";
import { FlagError, SetupError } from "../core/errors/setup-error.ts";
import { workerId } from "../core/lifecycle/worker-process.ts";
import type { Hub } from "../hub/hub.ts";
import type { BusLogger } from "./bus-log.ts";
import { busForms, busOf, readBus } from "./hub-buses.ts";

/** Flags of programs that have a hub. */
export const hubFlags = {
  hubBus: {
    ...optionalFlag(
      busForms.join("|"),
      "Know live connections and rooms; what joins processes and keeps what was published: memory is one process, worker the workers of a program, which is the default there",
    ),
    read: readBus,
  },
  hubName: optionalFlag("NAME", "Prefix of everything on the bus; a hub of this name even without --hub-bus"),
  hubMaxConnections: limitFlag("Most live connections of a hub; it is there even without --hub-bus"),
  hubMaxPerUser: limitFlag("Most live connections of a user; 0 for any number"),
  hubAdminToken: {
    ...fileFlag("File of a token whose bearers may use HubAdminService; without it that is not served"),
    excludes: ["authIssuer", "accessDefault"],
  },
} as const;

/** A hub that flags ask for. */
export interface FlagHub {
  /** The option `hub` of the program's servers. */
  readonly hub: Hub;
  /** What the program serves with it: the admin service, where a token is given. */
  readonly services: readonly Service<typeof HubAdminService>[];
}

/**
 * The hub that the flags of a program ask for; undefined where they do not, and then nothing of it is loaded.
 *
 * @param logger gets a line for each change of the bus. Default: none
 * @throws FlagError naming what cannot be used
 */
export async function flagHub(
  flags: FlagValues<typeof hubFlags>,
  logger?: BusLogger,
): Promise<FlagHub | undefined> {
  const {
    hubName: name,
    hubMaxConnections: maxConnections,
    hubMaxPerUser: maxPerUser,
    hubAdminToken,
  } = flags;
  const isWanted = Object.keys(hubFlags).some((flag) => flags.given.has(flag));
  if (!isWanted) return undefined;
  const { Hub } = await import("../hub/hub.ts");
  const bus = await namedLater("--hub-bus", () => busOf(flags.hubBus ?? busOfProcess()));
  const options = { name, maxConnections, maxPerUser, bus };
  const said = Object.entries(options).filter(([, value]) => value !== undefined);
  const hub = named("--hub-name", () => new Hub(Object.fromEntries(said)));
  if (logger !== undefined) (await import("./bus-log.ts")).logBus(hub, logger);
  if (hubAdminToken === undefined) return { hub, services: [] };
  const { bearersOf } = await import("./hub-token.ts");
  const allow = named("--hub-admin-token", () => bearersOf(hubAdminToken));
  return { hub, services: [hub.admin({ allow })] };
}

/** The bus where no flag says one. */
function busOfProcess(): string | undefined {
  return workerId() === undefined ? undefined : "worker";
}

/** @throws FlagError that names the flag, for a SetupError */
function named<T>(flag: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new FlagError(`${flag}: ${error.message}`, { cause: error });
  }
}

/** As `named`, for what takes a moment. */
async function namedLater<T>(flag: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    return named(flag, () => {
      throw error;
    });
  }
}

/** As `countFlag`; undefined if it is not given. */
function limitFlag(help: string): Flag<number | undefined> {
  const count = countFlag(0, help);
  return {
    help,
    value: count.value,
    default: undefined,
    shownDefault: "",
    repeatable: false,
    read: (text) => count.read(text, 0),
  };
}
