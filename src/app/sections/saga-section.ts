import type { SagaConfig } from "../../../gen/ts_ms/config/v1/saga_pb.ts";
import { Sagas } from "../../saga/sagas.ts";
import { type SagasInit, toSagasOptions } from "../../saga/sagas-options.ts";
import { explained } from "./explained.ts";
import { SagaPlace } from "../saga-place.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Where the sagas of the program stand, for the admin service too. */
export function makeSagaPlace(): SagaPlace {
  return new SagaPlace();
}

/** What runs the sagas of the program. */
export function open(kit: SectionKit): SectionParts {
  const { saga } = kit.config;
  if (saga === undefined) throw kit.mistake("saga", "is missing");
  const place = kit.shared(makeSagaPlace);
  explained(kit, "saga", () => toSagasOptions(initOf(saga, [])));
  let unwatch = (): void => {};
  const make = (): Sagas => {
    const sagas = new Sagas(initOf(saga, place.added));
    place.running = sagas;
    unwatch();
    unwatch = sagas.watch(kit.metrics);
    return sagas;
  };
  return {
    sagas: place,
    servers: [{ name: "sagas", make }],
    stop: () => unwatch(),
  };
}

function initOf(
  { postgres, instance, lease, concurrency, schema, retention }: SagaConfig,
  sagas: SagasInit["sagas"],
): SagasInit {
  return {
    ...{ databaseUrl: postgres, sagas, leaseMs: lease, concurrency, schema, retentionMs: retention },
    ...(instance !== undefined && { instance }),
  };
}
