import type { ChannelRoll, ChannelStage } from "./channel-roll.ts";
import type { MetricValues } from "../telemetry/open-metrics.ts";
import type { ShutdownReport, StopSignal } from "../lifecycle/signals.ts";
import type { ListenAddress } from "../net/listener.ts";

/** A port that a worker wants to serve. */
export interface WantedPort {
  /** Name of the server, for example `GRPC`. */
  readonly name: string;
  /** Host, `unix:PATH` or `fd:NUMBER`. */
  readonly host: string;
  readonly port: number;
}

/** Where the page of metrics is to be served. */
export interface WantedPage {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** An error of the system, as it passes from process to process. */
export interface SystemFailure {
  readonly message: string;
  readonly code: string | undefined;
  readonly syscall: string | undefined;
  readonly port: number | undefined;
}

/** What was asked for, or why it cannot be. */
export type PortAnswer =
  | { readonly address: ListenAddress }
  /** The worker binds by itself, so that the system shares the connections out. */
  | { readonly bind: ListenAddress }
  | { readonly failure: SystemFailure };

/** What a primary says to a worker. */
export type ToWorker =
  | { readonly kind: "port"; readonly id: number; readonly answer: PortAnswer }
  /** A connection comes with it. */
  | { readonly kind: "connection"; readonly id: number; readonly number: number }
  /** @param number of the connection that was sent last */
  | { readonly kind: "ping"; readonly number: number }
  | { readonly kind: "report" }
  /** The address of the inspector is free. */
  | { readonly kind: "inspect" }
  | { readonly kind: "stop"; readonly signal: StopSignal; readonly drainDelayMs: number | undefined }
  | { readonly kind: "post"; readonly name: string; readonly bytes: Uint8Array; readonly from: number }
  /** Who is on a channel now. */
  | { readonly kind: "roll"; readonly name: string; readonly roll: ChannelRoll };

/** What a worker says to its primary. */
export type ToPrimary =
  | { readonly kind: "listen"; readonly id: number; readonly wanted: WantedPort }
  /** The worker has bound by itself. */
  | { readonly kind: "bound"; readonly id: number; readonly address: ListenAddress }
  | { readonly kind: "page"; readonly id: number; readonly wanted: WantedPage }
  | { readonly kind: "closed"; readonly id: number }
  | { readonly kind: "taken"; readonly number: number; readonly accepted: boolean; readonly open: number }
  | { readonly kind: "open"; readonly open: number }
  | {
      readonly kind: "pong";
      readonly number: number;
      readonly isReady: boolean;
      readonly memoryBytes: number;
    }
  | { readonly kind: "metrics"; readonly metrics: readonly MetricValues[]; readonly droppedPosts: number }
  /** An exception has ended the process, or is about to. */
  | { readonly kind: "fault"; readonly message: string }
  | { readonly kind: "stopped"; readonly report: ShutdownReport }
  /** @param to the process that it is for; undefined for all others */
  | {
      readonly kind: "post";
      readonly name: string;
      readonly bytes: Uint8Array;
      readonly to: number | undefined;
    }
  | { readonly kind: "member"; readonly name: string; readonly stage: ChannelStage };
