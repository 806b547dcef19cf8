import type { HealthChecks, HealthOptions } from "../cluster/health.ts";
import type { MergedConnectionOptions } from "../http2/connection-options.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import type { CheckParts } from "./check-parts.ts";
import { grpcQuestion } from "./grpc-question.ts";
import { httpQuestion } from "./http-question.ts";
import { PolledCheck } from "./polled-check.ts";
import { WatchCheck } from "./watch-check.ts";

/** What checks need beside their options. */
export interface HealthChecksParts {
  /** First word of warnings. */
  readonly name: string;
  readonly connection: MergedConnectionOptions;
  /** Default: the clock of this process. */
  readonly clock?: Clock;
  /** Returns numbers from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** The checks of the endpoints of a cluster. */
export function healthChecks(options: HealthOptions, parts: HealthChecksParts): HealthChecks {
  const { name, connection, clock = systemClock, random = Math.random } = parts;
  let warned = false;
  const unimplemented = (): void => {
    if (warned) return;
    warned = true;
    process.emitWarning(
      `${name}: an endpoint does not implement grpc.health.v1.Health: such endpoints count as serving`,
    );
  };
  return {
    awaitsFirst: options.mode === "watch",
    check(address, report) {
      const own: CheckParts = { options, clock, random, report, unimplemented };
      if (options.mode === "watch") return new WatchCheck(own);
      const question =
        options.mode === "check"
          ? grpcQuestion(options.service, unimplemented)
          : httpQuestion(address, options.path, connection);
      return new PolledCheck(question, own);
    },
  };
}
