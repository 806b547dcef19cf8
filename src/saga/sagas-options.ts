import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { SetupError } from "../core/errors/setup-error.ts";
import type { Saga } from "./saga.ts";
import { checkSchema } from "./schema-sql.ts";

/** Options of `Sagas`. */
export interface SagasOptions {
  /** Where the sagas are kept: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Required. */
  readonly databaseUrl: string;
  /** What may be begun here, and is gone on with; several versions of one name where sagas of old ones are open. Required. */
  readonly sagas: readonly Saga[];
  /** Name of this process in logs and leases. Default: host and process id. */
  readonly instance: string;
  /** How long after its end the sagas of a process are taken over, in milliseconds; up to 5 s more. Default: 15,000. */
  readonly leaseMs: number;
  /** Most calls of steps and undos at once in this process. Sagas that wait or sleep do not count. Default: 100. */
  readonly concurrency: number;
  /**
   * How long sagas that are done or undone are known after their end, in milliseconds: for their status and output, and so
   * that `begin` with their id begins no other. Longer than a message can come again that has begun one. 0: for ever.
   * Default: 1,209,600,000, 14 days.
   */
  readonly retentionMs: number;
  /** The schema of the tables; it is created. Programs whose sagas differ have one each. Default: `ts_ms_saga`. */
  readonly schema: string;
}

/** Options with which `Sagas` are made: the required ones, and any others. */
export type SagasInit = Pick<SagasOptions, "databaseUrl" | "sagas"> & Partial<SagasOptions>;

/** The defaults of `SagasOptions`. */
export const sagasDefaults: Omit<SagasOptions, "databaseUrl" | "sagas"> = Object.freeze({
  instance: `${hostname()}:${process.pid}`,
  leaseMs: 15_000,
  concurrency: 100,
  retentionMs: 1_209_600_000,
  schema: "ts_ms_saga",
});

/** Checks options and adds the defaults. @throws SetupError naming the option that cannot be used */
export function toSagasOptions(init: SagasInit): SagasOptions {
  const options: SagasOptions = { ...sagasDefaults, ...init };
  const { databaseUrl, sagas, leaseMs, concurrency, retentionMs, schema } = options;
  const { protocol } = URL.parse(databaseUrl) ?? {};
  if (protocol !== "postgres:" && protocol !== "postgresql:") {
    throw new SetupError("Sagas: databaseUrl must be postgres://USER:PASSWORD@HOST:PORT/DATABASE");
  }
  if (!(leaseMs >= 1_000)) throw new SetupError(`Sagas: leaseMs ${leaseMs} must be at least 1000`);
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new SetupError(`Sagas: concurrency ${concurrency} must be a whole number from 1`);
  }
  if (!(retentionMs >= 1_000 || retentionMs === 0)) {
    throw new SetupError(
      `Sagas: retentionMs ${retentionMs} must be at least 1000, or 0 to keep them for ever`,
    );
  }
  checkSchema(schema);
  const known = new Set<string>();
  for (const { name, version } of sagas) {
    const key = versionOf(name, version);
    if (known.has(key)) throw new SetupError(`Sagas: ${key} is there twice`);
    known.add(key);
  }
  return options;
}

/** A saga and its version, for people. */
export function versionOf(name: string, version: number): string {
  return `saga ${name} version ${version}`;
}

/** A name that no other process has or has had. */
export function executorName(instance: string): string {
  return `${instance}:${randomUUID().slice(0, 8)}`;
}
