import { SetupError } from "../../core/errors/setup-error.ts";
import { sumOfReports, type StopReport } from "../../core/lifecycle/lifecycle.ts";
import { pathOf } from "../../core/net/request-target.ts";
import type { CallWatcher } from "../../core/telemetry/call-books.ts";
import type { FaceProtocol } from "./face-call.ts";
import type { FaceSocketPath } from "./face-socket.ts";
import type { Contract, Face, FaceHost, FacePath, MountedFace } from "./face.ts";

/** What answers at the paths of faces. */
type Paths = ReadonlyMap<string, FacePath>;

/** The faces of one server. */
export class FaceSet {
  readonly paths: readonly string[];
  readonly #faces: readonly MountedFace[];
  /** The first letters of the paths: most requests are for none of them, which one look tells. */
  readonly #letters: ReadonlySet<number>;
  /** The protocols of calls at the paths. */
  readonly #known: ReadonlyMap<string, FaceProtocol | undefined>;
  /** Derives the faces of a server that has not started. */
  #due: (() => void) | undefined;
  #isOpen = false;

  private constructor(faces: readonly Face[], host: FaceHost) {
    const owners = new Map<string, string>();
    const known = new Map<string, FaceProtocol | undefined>();
    for (const { name, paths, protocol } of faces) {
      for (const path of paths) {
        const other = owners.get(path);
        if (other !== undefined) {
          throw new SetupError(
            `faces: ${name} and ${other} are both at ${path}: give one of them another path`,
          );
        }
        if (!/^\/[^?#*{}]+$/.test(path))
          throw new SetupError(`faces: ${name}: ${JSON.stringify(path)} is no path`);
        owners.set(path, name);
        known.set(path, protocol);
      }
    }
    this.paths = [...owners.keys()];
    this.#known = known;
    this.#letters = new Set(this.paths.map((path) => path.charCodeAt(1)));
    this.#faces = faces.map((face) => {
      const others = faces.filter((other) => other !== face).map(({ page }) => page);
      return face.mount(
        host,
        others.filter((page) => page !== undefined),
      );
    });
  }

  /** @returns undefined for no faces @throws SetupError naming two faces at one path, or a wrong one */
  static of(faces: readonly Face[], host: FaceHost): FaceSet | undefined {
    return faces.length === 0 ? undefined : new FaceSet(faces, host);
  }

  /** Whether the path of a request is one of a face. */
  claims(url: string): boolean {
    return this.#letters.has(url.charCodeAt(1)) && this.#known.has(pathOf(url));
  }

  /** The protocol of calls at a path; undefined where no face makes any. */
  protocolAt(path: string): FaceProtocol | undefined {
    return this.#known.get(path);
  }

  /** The sockets at a path; undefined where no face has any. */
  socketsAt(path: string): FaceSocketPath | undefined {
    if (!this.#known.has(path)) return undefined;
    for (const { sockets } of this.#faces) {
      const found = sockets?.get(path);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Loads what faces need, before they are derived. @throws SetupError for what is not installed */
  async load(): Promise<void> {
    for (const face of this.#faces) await face.load?.();
  }

  /**
   * Derives all faces from a contract: at once in a server that has started, else when it starts or a request comes, for
   * more services may be added until then.
   *
   * @returns what answers, by path
   * @throws SetupError as `MountedFace.use`
   */
  derive(contract: Contract): () => Paths {
    let made: Paths | undefined;
    const make = (): Paths => (made ??= new Map(this.#faces.flatMap((face) => [...face.use(contract)])));
    if (this.#isOpen) make();
    else this.#due = make;
    return make;
  }

  /** What was derived last is served from now on: all doors have taken its rpcs. */
  adopt(): void {
    if (!this.#isOpen) return; // `open` does it.
    for (const face of this.#faces) face.adopt?.();
  }

  /** The server starts. @throws SetupError as `MountedFace.use` */
  open(): void {
    this.#due?.();
    this.#due = undefined;
    this.#isOpen = true;
    this.adopt();
  }

  /** What is told of calls. */
  get watchers(): readonly CallWatcher[] {
    return this.#faces.map(({ watcher }) => watcher).filter((watcher) => watcher !== undefined);
  }

  /** Lines for the start-up message. */
  describe(origin: string): readonly string[] {
    return this.#faces.flatMap((face) => face.describe(origin));
  }

  /** Stops the faces, see `MountedFace.stop`. */
  async stop(graceMs: number): Promise<StopReport> {
    const stops = this.#faces.map((face) => face.stop?.(graceMs));
    return sumOfReports(await Promise.all(stops.filter((stop) => stop !== undefined)));
  }
}
