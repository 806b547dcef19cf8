import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Connection, deleteRecordsV2, deleteTopicsV6 } from "@platformatic/kafka";
import { mavenJars, toolCache } from "../../conformance/tools.ts";
import { freePort, KeptServer, type ServerCommand } from "./kept-server.ts";

const coordinates = "org.apache.kafka:kafka_2.13:4.3.1";

/** Why tests with Kafka are skipped; false where they run. Its jars are fetched by Maven once, which takes a minute. */
export const withoutKafka: string | false = await whyNot();

async function whyNot(): Promise<string | false> {
  if (spawnSync("java", ["-version"]).error !== undefined) {
    return "java is not installed: apt-get install openjdk-17-jre-headless";
  }
  const hasJars = existsSync(join(toolCache, coordinates.replaceAll(":", "-"), "done"));
  const maven = "mvn";
  if (!hasJars && spawnSync(maven, ["--version"]).error !== undefined) {
    return `${maven} is not installed: apt-get install maven`;
  }
  try {
    await mavenJars(coordinates);
    return false;
  } catch (error) {
    return `Kafka's jars cannot be fetched: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** What a test needs of a broker besides what all have. */
export interface KafkaSettings {
  /** Settings of `server.properties`. */
  readonly [name: string]: string;
}

/** A listener beside the one for all, in plain text, that a test needs. */
export interface KafkaListener {
  readonly name: string;
  /** Such as `SASL_SSL`. */
  readonly protocol: string;
  readonly port: number;
}

/** Which node of a cluster it is. */
interface KafkaNode {
  readonly id: number;
  readonly clusterId: string;
  /** Of the one node that is the controller, too: the first. */
  readonly controllerPort: number;
  /** Users of SCRAM that are made with the cluster, as `kafka-storage format` takes them. */
  readonly scram: readonly string[];
}

/** A Kafka of this test, whose files outlive a kill: one node that is broker and controller, or a broker of a cluster. */
export class KafkaServer extends KeptServer {
  readonly #node: KafkaNode;
  readonly #jars: string;
  readonly #settings: KafkaSettings;
  readonly #listeners: readonly KafkaListener[];

  private constructor(
    port: number,
    node: KafkaNode,
    jars: string,
    settings: KafkaSettings,
    listeners: readonly KafkaListener[],
  ) {
    super("kafka", port);
    this.#node = node;
    this.#jars = jars;
    this.#settings = settings;
    this.#listeners = listeners;
  }

  /** Starts one, which takes some 10 s. */
  static async start(
    settings: KafkaSettings = {},
    listeners: readonly KafkaListener[] = [],
    scram: readonly string[] = [],
  ): Promise<KafkaServer> {
    const node = { id: 1, clusterId: newClusterId(), controllerPort: await freePort(), scram };
    return KafkaServer.#start(node, settings, listeners);
  }

  /** Starts a cluster of several nodes, of which the first is the controller, too. @param settingsOf those of a node */
  static async startCluster(
    count: number,
    settingsOf: (id: number) => KafkaSettings = () => ({}),
  ): Promise<readonly KafkaServer[]> {
    const cluster = { clusterId: newClusterId(), controllerPort: await freePort(), scram: [] };
    const replicas = String(count);
    const servers: KafkaServer[] = [];
    try {
      for (let id = 1; id <= count; id++) {
        const settings = { "offsets.topic.replication.factor": replicas, ...settingsOf(id) };
        servers.push(await KafkaServer.#start({ ...cluster, id }, settings, []));
      }
    } catch (error) {
      await Promise.all(servers.map((server) => server.stop()));
      throw error;
    }
    return servers;
  }

  static async #start(
    node: KafkaNode,
    settings: KafkaSettings,
    listeners: readonly KafkaListener[],
  ): Promise<KafkaServer> {
    const jars = await mavenJars(coordinates);
    const server = new KafkaServer(await freePort(), node, jars, settings, listeners);
    await server.restart();
    return server;
  }

  get url(): string {
    return `kafka://127.0.0.1:${this.port}`;
  }

  /** Deletes a topic. */
  async deleteTopic(topic: string): Promise<void> {
    await this.#asked(async (connection) => {
      await deleteTopicsV6.api.async(connection, [{ name: topic, topicId: null }], 5_000);
    });
  }

  /** Deletes the messages of a partition that are before an offset. */
  async deleteRecords(topic: string, partition: number, offset: bigint): Promise<void> {
    await this.#asked(async (connection) => {
      const partitions = [{ partitionIndex: partition, offset }];
      await deleteRecordsV2.api.async(connection, [{ name: topic, partitions }], 5_000);
    });
  }

  /** Asks for something by a connection of its own. */
  async #asked(ask: (connection: Connection) => Promise<void>): Promise<void> {
    const connection = new Connection("test");
    await connection.connect("127.0.0.1", this.port);
    try {
      await ask(connection);
    } finally {
      await connection.close();
    }
  }

  protected command(): ServerCommand {
    const properties = join(this.folder, "server.properties");
    if (!existsSync(properties)) {
      writeFileSync(properties, this.#properties);
      const { clusterId, scram } = this.#node;
      const format = ["kafka.tools.StorageTool", "format", "-t", clusterId, "-c", properties];
      if (this.#isController) format.push("--standalone", ...scram.flatMap((user) => ["--add-scram", user]));
      const { status, stderr } = spawnSync("java", [...this.#java, ...format], { encoding: "utf8" });
      if (status !== 0) throw new Error(`Kafka's folder cannot be made: ${stderr}`);
    }
    return {
      program: "java",
      args: [...this.#java, this.#isController ? "-Xmx512m" : "-Xmx256m", "kafka.Kafka", properties],
    };
  }

  /** It answers when it has been asked for the versions that it knows. */
  protected override answers(): Promise<boolean> {
    return super.answers("\0\0\0\u000a\0\u0012\0\0\0\0\0\u0001\0\0");
  }

  get #java(): readonly string[] {
    return ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", join(this.#jars, "*")];
  }

  get #isController(): boolean {
    return this.#node.id === 1;
  }

  get #properties(): string {
    const { id, controllerPort } = this.#node;
    const controller = `127.0.0.1:${controllerPort}`;
    const all = [
      { name: "PLAINTEXT", protocol: "PLAINTEXT", port: this.port },
      ...this.#listeners,
      ...(this.#isController ? [{ name: "CONTROLLER", protocol: "PLAINTEXT", port: controllerPort }] : []),
    ];
    const addresses = (host: (name: string) => string): string =>
      all.map(({ name, port }) => `${name}://${host(name)}:${port}`).join();
    const protocols = new Map([
      ["CONTROLLER", "PLAINTEXT"],
      ...all.map(({ name, protocol }) => [name, protocol] as const),
    ]);
    const settings = {
      "process.roles": this.#isController ? "broker,controller" : "broker",
      "node.id": String(id),
      "controller.quorum.bootstrap.servers": controller,
      listeners: addresses(() => "127.0.0.1"),
      // Certificates are for a name.
      "advertised.listeners": addresses((name) =>
        protocols.get(name) === "PLAINTEXT" ? "127.0.0.1" : "localhost",
      ),
      "controller.listener.names": "CONTROLLER",
      "listener.security.protocol.map": [...protocols].map((pair) => pair.join(":")).join(),
      "log.dirs": join(this.folder, "data"),
      "offsets.topic.replication.factor": "1",
      "offsets.topic.num.partitions": "4",
      "transaction.state.log.replication.factor": "1",
      "transaction.state.log.min.isr": "1",
      "share.coordinator.state.topic.replication.factor": "1",
      "share.coordinator.state.topic.min.isr": "1",
      "group.initial.rebalance.delay.ms": "0",
      "group.min.session.timeout.ms": "1000",
      ...this.#settings,
    };
    return Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join("");
  }
}

/** A text that began with a hyphen would be an option. */
function newClusterId(): string {
  const bytes = randomBytes(16);
  bytes[0] = 1;
  return bytes.toString("base64url");
}
