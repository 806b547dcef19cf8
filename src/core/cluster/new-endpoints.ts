import { Ramp, slowStartDefaults, type SlowStartOptions } from "./ramp.ts";

/** An endpoint as slow start sees it. */
export interface RampedEndpoint {
  readonly isOriginal: boolean;
  /** Whether it has been ready. */
  wasReady: boolean;
  ramp: Ramp | undefined;
}

/** Decides which endpoints are new beside others: a lone one is not, nor those of a wholly new set. */
export class NewEndpoints {
  readonly #options: SlowStartOptions;
  /** When the first of the present set was ready; undefined before. */
  #beganMs: number | undefined;

  constructor(options: SlowStartOptions = slowStartDefaults) {
    this.#options = options;
  }

  /** Endpoints were found. @returns whether they are the first of their set */
  found(noneBefore: boolean): boolean {
    if (noneBefore) this.#beganMs = undefined;
    return noneBefore;
  }

  /** An endpoint is ready. @param others how many others are */
  ready(endpoint: RampedEndpoint, others: number, nowMs: number): void {
    this.#beganMs ??= nowMs;
    if (endpoint.wasReady) return;
    endpoint.wasReady = true;
    const { windowMs } = this.#options;
    const isFirst = endpoint.isOriginal && nowMs - this.#beganMs < windowMs;
    if (windowMs > 0 && others > 0 && !isFirst) endpoint.ramp = new Ramp(this.#options, nowMs);
  }

  /** An endpoint has been away. */
  slow(endpoint: RampedEndpoint, windowMs: number, nowMs: number): void {
    if (windowMs > 0) endpoint.ramp = new Ramp({ ...slowStartDefaults, windowMs }, nowMs);
  }
}
