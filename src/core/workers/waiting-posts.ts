/** The most bytes that wait, then the oldest messages go. */
const mostWaitingBytes = 1024 * 1024;
/** The most bytes that are on their way and can be taken back no more. */
const mostUnderWayBytes = 64 * 1024;

/** Sends a message. @param written called when it has left the process */
export type SendPost<P> = (post: P, written: () => void) => void;

/** Messages for a process that may be slow: 1 MiB of them waits, then the oldest go. */
export class WaitingPosts<P extends { readonly bytes: Uint8Array }> {
  /** How many were dropped. */
  dropped = 0;
  readonly #send: SendPost<P>;
  readonly #waiting: P[] = [];
  #waitingBytes = 0;
  #underWayBytes = 0;

  constructor(send: SendPost<P>) {
    this.#send = send;
  }

  add(post: P): void {
    this.#waiting.push(post);
    this.#waitingBytes += post.bytes.length;
    this.#pass();
    while (this.#waitingBytes > mostWaitingBytes) {
      const oldest = this.#waiting.shift();
      if (oldest === undefined) return;
      this.#waitingBytes -= oldest.bytes.length;
      this.dropped++;
    }
  }

  #pass(): void {
    while (this.#underWayBytes < mostUnderWayBytes) {
      const post = this.#waiting.shift();
      if (post === undefined) return;
      const size = post.bytes.length;
      this.#waitingBytes -= size;
      this.#underWayBytes += size;
      this.#send(post, () => {
        this.#underWayBytes -= size;
        this.#pass();
      });
    }
  }
}
