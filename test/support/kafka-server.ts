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

/** A Kafka of this test, whose files outlive a kill: one node that is broker and controller. */
export class KafkaServer extends KeptServer {
  readonly #controllerPort: number;
  readonly #jars: string;
  readonly #settings: KafkaSettings;

  private constructor(port: number, controllerPort: number, jars: string, settings: KafkaSettings) {
    super("kafka", port);
    this.#controllerPort = controllerPort;
    this.#jars = jars;
    this.#settings = settings;
  }

  /** Starts one, which takes some 10 s. */
  static async start(settings: KafkaSettings = {}): Promise<KafkaServer> {
    const jars = await mavenJars(coordinates);
    const server = new KafkaServer(await freePort(), await freePort(), jars, settings);
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
      const bytes = randomBytes(16);
      bytes[0] = 1; // A text that began with a hyphen would be an option.
      const id = bytes.toString("base64url");
      const format = ["kafka.tools.StorageTool", "format", "--standalone", "-t", id, "-c", properties];
      const { status, stderr } = spawnSync("java", [...this.#java, ...format], { encoding: "utf8" });
      if (status !== 0) throw new Error(`Kafka's folder cannot be made: ${stderr}`);
    }
    return { program: "java", args: [...this.#java, "-Xmx512m", "kafka.Kafka", properties] };
  }

  /** It answers when it has been asked for the versions that it knows. */
  protected override answers(): Promise<boolean> {
    return super.answers("\0\0\0\u000a\0\u0012\0\0\0\0\0\u0001\0\0");
  }

  get #java(): readonly string[] {
    return ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", join(this.#jars, "*")];
  }

  get #properties(): string {
    const client = `PLAINTEXT://127.0.0.1:${this.port}`;
    const controller = `127.0.0.1:${this.#controllerPort}`;
    const settings = {
      "process.roles": "broker,controller",
      "node.id": "1",
      "controller.quorum.bootstrap.servers": controller,
      listeners: `${client},CONTROLLER://${controller}`,
      "advertised.listeners": `${client},CONTROLLER://${controller}`,
      "controller.listener.names": "CONTROLLER",
      "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
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
