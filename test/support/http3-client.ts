import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** A request of a script, see `conformance/edge-http3/h3_client.py`. */
export interface ScriptedRequest {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
  /** Parts of the body, each after a pause in seconds. */
  readonly chunks?: readonly (readonly [number, string])[];
  /** The whole head, pseudo fields too, in place of method, path and headers. */
  readonly fields?: readonly (readonly [string, string])[];
  /** Whether the request does not end. */
  readonly open?: boolean;
  /** Whether the answer has its body as `base64` too. */
  readonly binary?: boolean;
}

/** What a client does next. */
export type ScriptStep =
  | { readonly ask: ScriptedRequest }
  | { readonly start: ScriptedRequest }
  | { readonly all: readonly ScriptedRequest[] }
  | { readonly cancel: number }
  | { readonly finish: number }
  | { readonly sleep: number };

/** One connection of a script. */
export interface ScriptedConnection {
  readonly steps: readonly ScriptStep[];
  /** Whether the first request is sent in early data, whatever the server allows. */
  readonly early?: boolean;
  /** Part of the packets from the server that are lost. */
  readonly loss?: number;
  /** The largest packet that is sent, in bytes. */
  readonly mtu?: number;
}

/** An answer. */
export interface ScriptedAnswer {
  readonly status: number | null;
  readonly headers: readonly (readonly [string, string])[];
  readonly trailers: readonly (readonly [string, string])[];
  readonly body: string;
  /** The body's bytes, where the request has asked for them. */
  readonly base64?: string;
  /** Bytes of the body. */
  readonly length: number;
  /** When its parts have come, in seconds since the request. */
  readonly times: readonly number[];
  /** The code with which the stream was reset. */
  readonly reset?: number;
  /** Code and reason with which the connection was closed before the answer was complete. */
  readonly gone?: readonly [number, string];
  readonly timeout?: boolean;
}

/** What became of a connection. */
export interface ScriptedOutcome {
  /** The answers to `ask` and `finish`; to `all` a list of them. */
  readonly results: readonly (ScriptedAnswer & readonly ScriptedAnswer[])[];
  /** Whether the server has taken early data. */
  readonly early: boolean;
  readonly gone: readonly [number, string] | null;
}

const program = join(import.meta.dirname, "../../conformance/edge-http3/h3_client.py");

/** Runs a script by aioquic. @param env the environment in which Python finds it */
export async function http3Script(
  env: NodeJS.ProcessEnv,
  port: number,
  connections: readonly ScriptedConnection[],
  more: { readonly host?: string; readonly authority?: string } = {},
): Promise<readonly ScriptedOutcome[]> {
  const child = spawn("python3", [program], { env, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(JSON.stringify({ port, connections, ...more }));
  const [said, complaint] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (said === "") throw new Error(`the client of aioquic failed: ${complaint}`);
  return JSON.parse(said) as readonly ScriptedOutcome[]; // As the program writes it.
}

/** The only answer of the only connection of a script. */
export function onlyAnswer([outcome]: readonly ScriptedOutcome[]): ScriptedAnswer {
  const answer = outcome?.results[0];
  if (answer === undefined) throw new Error(`no answer: ${JSON.stringify(outcome)}`);
  return answer;
}

/** A field of the head of an answer. */
export function fieldOf({ headers }: ScriptedAnswer, name: string): string | undefined {
  return headers.find(([field]) => field === name)?.[1];
}
