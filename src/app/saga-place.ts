import { SetupError } from "../core/errors/setup-error.ts";
import type { Saga } from "../saga/saga.ts";
import type { AdministeredSagas } from "../saga/saga-service.ts";
import type { Sagas } from "../saga/sagas.ts";

/** Where the sagas of an app stand: those that the program adds, and what runs them. */
export class SagaPlace {
  readonly added: Saga[] = [];
  /** What the latest start of the app has made; undefined before the first. */
  running: Sagas | undefined;

  /** @throws SetupError once sagas run */
  add(saga: Saga): void {
    const state = this.running?.state;
    if (state !== undefined && state !== "stop") {
      throw new SetupError(`add sagas before the app starts, as ${saga.name}`);
    }
    this.added.push(saga);
  }

  /** What the admin service shows and changes: whatever runs now. */
  get administered(): AdministeredSagas {
    const running = (): Sagas => this.sagas;
    return {
      list: (filter) => running().list(filter),
      status: (id) => running().status(id),
      cancel: (id, why) => running().cancel(id, why),
      retry: (id) => running().retry(id),
      signal: (id, schema, message) => running().signal(id, schema, message),
    };
  }

  /** @throws SetupError before the first start of the app */
  get sagas(): Sagas {
    if (this.running !== undefined) return this.running;
    throw new SetupError("the sagas of this app run from its start on");
  }
}
