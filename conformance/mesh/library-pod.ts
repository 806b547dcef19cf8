import {
  Code,
  ConnectError,
  GrpcServer,
  peerIdentity,
  service,
  type HandlerContext,
} from "../../src/index.ts";
import { LibraryService } from "../../gen/library/v1/library_pb.ts";

/** What a pod saw of a call. */
export interface SeenCall {
  readonly rpc: string;
  readonly timeoutMs: number | undefined;
  /** SPIFFE names in `x-forwarded-client-cert`. */
  readonly callers: readonly string[];
}

/** A pod of the library: a server whose calls are counted, and that fails or waits when it is told to. */
export class LibraryPod implements AsyncDisposable {
  readonly name: string;
  readonly calls: SeenCall[] = [];
  /** Whether its calls fail with UNAVAILABLE. */
  fails = false;
  /** While it is there, calls wait for it. */
  gate: Promise<void> | undefined;
  readonly #server: GrpcServer;

  private constructor(name: string) {
    this.name = name;
    // Only the sidecar reaches it.
    this.#server = new GrpcServer({ port: 0, trustedPeers: "everybody", maxConcurrentStreams: 2_000 });
    this.#server.addService(
      service(LibraryService, {
        listShelves: async (_, context) => ({ shelves: [await this.#answer("ListShelves", context)] }),
        createShelf: async (_, context) => ({ shelf: await this.#answer("CreateShelf", context) }),
      }),
    );
  }

  static async start(name: string): Promise<LibraryPod> {
    const pod = new LibraryPod(name);
    await pod.#server.start();
    return pod;
  }

  get port(): number {
    return this.#server.address?.port ?? 0;
  }

  /** Forgets the calls so far. */
  clear(): void {
    this.calls.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.gracefulStop();
  }

  /** A shelf whose theme is the name of the pod. */
  async #answer(rpc: string, context: HandlerContext): Promise<{ theme: string }> {
    const callers = peerIdentity(context)?.uris ?? [];
    this.calls.push({ rpc, timeoutMs: context.timeoutMs(), callers });
    if (this.gate !== undefined) await this.gate;
    if (this.fails) throw new ConnectError("not now", Code.Unavailable);
    return { theme: this.name };
  }
}
