import type * as kafkaPeer from "@platformatic/kafka";
import { loadPeer } from "../../core/config/optional-peer.ts";

export type { Connection, ConnectionOptions, KafkaRecord, RecordsBatch } from "@platformatic/kafka";

/** What is used of `@platformatic/kafka` at run time: its connections and the requests of the protocol, nothing above. */
export type Peer = Pick<
  typeof kafkaPeer,
  | "Connection"
  | "Writer"
  | "apiVersionsV3"
  | "compressionsAlgorithms"
  | "crc32c"
  | "createTopicsV7"
  | "decodeConsumerProtocolAssignment"
  | "decodeConsumerProtocolSubscription"
  | "deleteGroupsV2"
  | "deleteTopicsV6"
  | "encodeConsumerProtocolAssignment"
  | "encodeConsumerProtocolSubscription"
  | "fetchV13"
  | "findCoordinatorV4"
  | "heartbeatV4"
  | "initProducerIdV4"
  | "joinGroupV9"
  | "leaveGroupV5"
  | "listOffsetsV7"
  | "metadataV12"
  | "offsetCommitV8"
  | "offsetFetchV8"
  | "produceV9"
  | "syncGroupV5"
>;

/** @throws SetupError without the package */
export function loadKafka(): Promise<Peer> {
  return loadPeer("@platformatic/kafka", "Kafka", () => import("@platformatic/kafka"));
}

/** The requests that are sent, in the only version that is: what a broker must know. */
export function requestsOf(peer: Peer): readonly { readonly key: number; readonly version: number }[] {
  return [
    peer.createTopicsV7.api,
    peer.fetchV13.api,
    peer.findCoordinatorV4.api,
    peer.heartbeatV4.api,
    peer.initProducerIdV4.api,
    peer.joinGroupV9.api,
    peer.leaveGroupV5.api,
    peer.listOffsetsV7.api,
    peer.metadataV12.api,
    peer.offsetCommitV8.api,
    peer.offsetFetchV8.api,
    peer.produceV9.api,
    peer.syncGroupV5.api,
  ];
}
