/** What a program's configuration says about every `dial` of its process. */
export interface ProgramDefaults {
  /** Timeout of a unary call that sets none, in milliseconds; 0 for none. */
  readonly timeoutMs: number;
  /** Retries of rpcs that may be tried again, below what their contracts state. */
  readonly retry: {
    readonly maxAttempts: number;
    readonly initialBackoffMs: number;
    readonly maxBackoffMs: number;
  };
  /** Whether one server that is dialled by its address has these retries too, for which it becomes a cluster of one. */
  readonly retriesOneServer: boolean;
  /** The zone of this process; undefined for that of `TS_MS_ZONE`. */
  readonly zone: string | undefined;
  /** Name of the program; undefined where the configuration has none. */
  readonly name: string | undefined;
}

let current: ProgramDefaults | undefined;

/** The defaults of `dial` from now on; undefined for its own ones. What was dialled before stays as it is. */
export function useProgramDefaults(defaults: ProgramDefaults | undefined): void {
  current = defaults;
}

/** Undefined in programs without a configuration. */
export function programDefaults(): ProgramDefaults | undefined {
  return current;
}
