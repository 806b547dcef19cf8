import type { DescService } from "@bufbuild/protobuf";
import { hasFunctions } from "../../core/config/check-options.ts";
import { dial } from "../../core/dial.ts";
import { GrpcServer } from "../../core/grpc-server.ts";
import { reflectionSource } from "../../core/schema/reflection-source.ts";
import { Upstreams } from "../../gateway/upstreams/upstreams.ts";
import type { ContractServer } from "../../gateway/upstreams/upstreams-options.ts";
import type { AppServer } from "../app-server.ts";
import { OnePort } from "../one-port.ts";
import { changeUpstreams } from "./change-upstreams.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { checkContracts, fileContracts, withSame, type KnownContracts } from "./upstream-contracts.ts";
import { UpstreamPolicies } from "./upstream-policy.ts";
import { hasUpstream } from "./upstream-use.ts";
import { catalogOf, planOf, type UpstreamsPlan } from "./upstreams-plan.ts";

/** Name of the upstream that is the program itself: its own services, beside those of the others. */
const ownName = "(program)";

/** How long an upstream may take to tell its contracts, for `--print-policy`, in milliseconds. */
const askMs = 15_000;

/** Several services behind the program: how each is called, and how calls are divided among them. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const { config, mistake, logger } = kit;
  if (hasUpstream(config)) {
    throw mistake("upstream", "not with upstreams: give it a name among them, or leave them out");
  }
  const catalog = await catalogOf(kit);
  let plan = await planOf(kit);
  const make = (): Upstreams => {
    const { inits, policies, traffic, dial: options } = plan;
    return new Upstreams(inits, { catalog, policies, traffic, dial: options, keepOpen: true, logger });
  };
  let upstreams = make();
  let isEnded = false;
  /** Services of the program itself, which policies and rules may name too. */
  let own: readonly DescService[] = [];
  let printed: UpstreamPolicies | undefined;
  const serve = (http: ContractServer, grpc?: GrpcServer): void => {
    upstreams.serve(http, grpc).catch((err: unknown) => logger.error({ err }, "upstreams are not served"));
  };
  return {
    get http() {
      return { upstream: upstreams, awaitServices: true };
    },
    features: ["load_balancing"],
    equip(server: AppServer) {
      if (server instanceof OnePort) serve(server.http, server.grpc);
      else if (server instanceof GrpcServer) serve(withoutRoutes(server), server);
      else if (isContractServer(server)) serve(server);
    },
    async check(services) {
      own = services;
      checkContracts(kit, plan, await fileContracts(plan.inits, mistake), services);
    },
    async contracts() {
      printed = new UpstreamPolicies(plan, await askedContracts(upstreams, plan, kit));
      return printed.services;
    },
    policyOf: (method) => printed?.row(method) ?? {},
    start(program) {
      if (isEnded) upstreams = make();
      isEnded = false;
      if (program === undefined || program.services.length === 0) return;
      const { services, inner } = program;
      upstreams.add(ownName, { transport: dial(inner), services, required: false });
    },
    stop() {
      isEnded = true;
      upstreams.close();
    },
    async prepare({ next }) {
      const changed = { ...kit, config: next };
      const after = await planOf(changed);
      checkContracts(changed, after, await fileContracts(after.inits, mistake), own);
      return () => {
        const before = plan;
        plan = after;
        changeUpstreams(upstreams, before, after).catch((err: unknown) => {
          logger.error({ err }, "the upstreams could not be changed");
        });
      };
    },
  };
}

function isContractServer(server: AppServer): server is AppServer & ContractServer {
  return hasFunctions(server, "serveContracts", "onStateChange");
}

/** A server of gRPC alone has no routes that could clash. */
function withoutRoutes(grpc: GrpcServer): ContractServer {
  return {
    serveContracts: () => new Map(),
    onStateChange: (listener) => grpc.onStateChange(listener),
  };
}

/** The contracts of all upstreams; those that have them by themselves are asked. */
async function askedContracts(
  upstreams: Upstreams,
  { inits }: UpstreamsPlan,
  { mistake, logger }: SectionKit,
): Promise<KnownContracts> {
  const known = new Map(await fileContracts(inits, mistake));
  const asked = Object.entries(inits).map(async ([name, { contract = "reflection", only = [] }]) => {
    const transport = upstreams.transportOf(name);
    if (contract !== "reflection" || transport === undefined) return;
    try {
      known.set(name, (await reflectionSource(transport, only).load(AbortSignal.timeout(askMs))).services);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn({ upstream: name, reason }, "its rpcs are not known");
    }
  });
  await Promise.all(asked);
  return withSame(inits, known);
}
