import type { ChannelRoll, ChannelStage } from "./channel-roll.ts";
import type { ToWorker } from "./worker-messages.ts";

/** A worker, as channels see it. */
export interface ChannelWorker {
  readonly pid: number;
  say(message: ToWorker): void;
}

interface Channel {
  number: number;
  readonly members: Map<ChannelWorker, Exclude<ChannelStage, "gone">>;
}

/**
 * Who is on the channels of the workers. The primary alone decides that, so that all members see the same rolls in the same
 * order; they are never dropped, and may come before posts that were sent earlier.
 */
export class ChannelRolls {
  readonly #channels = new Map<string, Channel>();

  /** A worker stands to a channel from now on as it says. */
  set(worker: ChannelWorker, name: string, stage: ChannelStage): void {
    const channel = this.#channels.get(name) ?? { number: 0, members: new Map() };
    this.#channels.set(name, channel);
    if (stage === "gone") {
      if (!channel.members.delete(worker)) return;
      // Who has left hears no more of it; numbers go on where all have left.
    } else channel.members.set(worker, stage);
    this.#tell(name, channel);
  }

  /** A worker has ended. */
  remove(worker: ChannelWorker): void {
    for (const [name, channel] of this.#channels) {
      if (channel.members.delete(worker)) this.#tell(name, channel);
    }
  }

  #tell(name: string, channel: Channel): void {
    channel.number++;
    const of = (wanted: ChannelStage): number[] =>
      [...channel.members].filter(([, stage]) => stage === wanted).map(([{ pid }]) => pid);
    const roll: ChannelRoll = { number: channel.number, live: of("live"), leaving: of("leaving") };
    for (const member of channel.members.keys()) member.say({ kind: "roll", name, roll });
  }
}
