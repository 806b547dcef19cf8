/** A member that has more to read than is read in one go. */
export interface ReadsOn {
  /** Reads on. It does not throw. */
  readOn(): void;
}

/** How long members read on in one turn of the event loop, in milliseconds: then it is the turn of everything else. */
const turnMs = 5;

/** Members of all hubs, the one that waits longest first. */
let waiting: ReadsOn[] = [];
let isScheduled = false;

/** Has a member read on in a later turn of the event loop, behind those that wait for the same already. */
export function readOnLater(member: ReadsOn): void {
  waiting.push(member);
  schedule();
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(readOn);
}

function readOn(): void {
  isScheduled = false;
  const all = waiting;
  waiting = [];
  const endMs = performance.now() + turnMs;
  for (let done = 0; done < all.length;) {
    all[done++]?.readOn();
    if (done === all.length || performance.now() < endMs) continue;
    waiting = [...all.slice(done), ...waiting];
    schedule();
    return;
  }
}
