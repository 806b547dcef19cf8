import type { RoutedGroup } from "../discovery/routed-resolver.ts";
import type { ConnectError } from "../errors/errors.ts";
import type { CallHead, StreamSource } from "../http2/stream-source.ts";
import type { Cluster } from "./cluster.ts";
import { unavailable } from "./refusals.ts";
import type { CalledGroup } from "./routed-call.ts";

/** The endpoints of one group of a routed cluster, and its calls under way. */
export class GroupMember implements CalledGroup {
  readonly cluster: Cluster;
  /** What the cluster was made with. */
  readonly key: string;
  readonly resolver: RoutedGroup["resolver"];
  maxRequests: number;
  readonly #name: string;
  #underWay = 0;
  #isRetired = false;

  constructor(name: string, group: RoutedGroup, cluster: Cluster) {
    this.#name = name;
    this.cluster = cluster;
    this.resolver = group.resolver;
    this.maxRequests = group.maxRequests;
    this.key = keyOf(group);
  }

  /** Whether the cluster can go on with these options. */
  fits(group: RoutedGroup): boolean {
    return group.resolver === this.resolver && keyOf(group) === this.key;
  }

  begin(head: CallHead): StreamSource | ConnectError {
    if (this.#underWay >= this.maxRequests) {
      return unavailable(`${this.#name}: ${this.#underWay} calls under way`);
    }
    this.#underWay++;
    return this.cluster.sourceOf(head);
  }

  end(): void {
    this.#underWay--;
    if (this.#isRetired && this.#underWay === 0) this.cluster.close();
  }

  /** No route leads here any more: ends with the last call. */
  retire(): void {
    this.#isRetired = true;
    if (this.#underWay === 0) this.cluster.close();
  }
}

function keyOf({ balance, outlier, retryKey }: RoutedGroup): string {
  return JSON.stringify([balance, outlier, retryKey]);
}
