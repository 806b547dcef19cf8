import assert from "node:assert/strict";
import { test } from "node:test";
import { HandOver, type AcceptedConnection, type Receiver } from "../../../src/core/workers/hand-over.ts";
import { seeded, VirtualClock } from "../../support/virtual-clock.ts";

class Connection implements AcceptedConnection {
  readonly port: string;
  isReleased = false;

  constructor(port = "http") {
    this.port = port;
  }

  release(): void {
    this.isReleased = true;
  }
}

/** A worker that confirms when it is told to. */
class Worker implements Receiver<Connection> {
  readonly given: { readonly connection: Connection; readonly number: number }[] = [];
  open = 0;

  give(connection: Connection, number: number): void {
    this.given.push({ connection, number });
  }
}

function setUp(count: number) {
  const clock = new VirtualClock();
  const handOver = new HandOver<Connection>(clock);
  const workers = Array.from({ length: count }, () => new Worker());
  for (const worker of workers) {
    handOver.add(worker);
    handOver.setServes(worker, "http", true);
    handOver.setReady(worker, true);
  }
  const confirm = (worker: Worker, accepted = true): void => {
    const last = worker.given.at(-1);
    assert.ok(last !== undefined);
    if (accepted) worker.open++;
    handOver.taken(worker, last.number, accepted, worker.open);
  };
  const [first = new Worker(), second = new Worker()] = workers;
  return { clock, handOver, workers, first, second, confirm };
}

test("each connection goes to the worker with the fewest, of equals in turn", () => {
  const { handOver, first, second, confirm } = setUp(2);
  for (let number = 0; number < 8; number++) handOver.offer(new Connection());
  assert.deepEqual([first.given.length, second.given.length], [1, 1], "one is under way at a time");
  for (let turn = 0; turn < 4; turn++) confirm(first);
  for (let turn = 0; turn < 4; turn++) confirm(second);
  assert.deepEqual([first.open, second.open], [4, 4]);
  assert.ok([...first.given, ...second.given].every(({ connection }) => connection.isReleased));
  handOver.setOpen(first, 1);
  handOver.offer(new Connection());
  assert.equal(first.given.length, 5);
});

test("what a worker that dies has not confirmed goes to another one", () => {
  const { handOver, first, second, confirm } = setUp(2);
  for (let number = 0; number < 6; number++) handOver.offer(new Connection());
  handOver.remove(first);
  for (let turn = 0; turn < 6; turn++) confirm(second);
  assert.equal(second.open, 6);
  assert.deepEqual(handOver.counts, { taken: 6, refused: 0, lost: 1, dropped: 0 });
});

test("a worker that confirms nothing for half a second keeps one connection, others get the rest", () => {
  const { clock, handOver, first, second, confirm } = setUp(2);
  for (let number = 0; number < 6; number++) handOver.offer(new Connection());
  for (let turn = 0; turn < 3; turn++) confirm(second);
  clock.advance(499);
  assert.equal(second.given.length, 3);
  clock.advance(1);
  confirm(second);
  confirm(second);
  assert.deepEqual([first.given.length, second.open], [1, 5]);
  for (let number = 0; number < 10; number++) {
    handOver.offer(new Connection());
    confirm(second);
  }
  assert.equal(first.given.length, 1, "further ones go by it");
  confirm(first);
  handOver.offer(new Connection());
  assert.equal(first.given.length, 2, "it has confirmed: it gets connections again");
});

test("the oldest connections are first, however often they go to another worker", () => {
  const { clock, handOver, workers } = setUp(2);
  const offered: Connection[] = [];
  const offer = (): void => {
    const connection = new Connection();
    offered.push(connection);
    handOver.offer(connection);
  };
  for (let number = 0; number < 20; number++) offer();
  // Both are late with each one, and more connections come than they take.
  for (let round = 0; round < 20; round++) {
    clock.advance(600);
    offer();
    offer();
    for (const worker of workers) {
      const last = worker.given.at(-1);
      assert.ok(last !== undefined);
      handOver.taken(worker, last.number, true, ++worker.open);
      offer();
    }
  }
  const taken = offered.map(({ isReleased }) => isReleased);
  assert.equal(taken.filter(Boolean).length, 40);
  assert.ok(
    taken.slice(0, 38).every(Boolean),
    `the first that waits is ${taken.indexOf(false)} of ${taken.length}`,
  );
});

test("connections wait where no worker is ready, and those of a closed port are closed", () => {
  const { handOver, first, second, confirm } = setUp(2);
  handOver.setReady(first, false);
  handOver.setReady(second, false);
  const waiting = [new Connection(), new Connection(), new Connection("grpc")];
  for (const connection of waiting) handOver.offer(connection);
  assert.equal(handOver.waiting, 3);
  handOver.setReady(second, true);
  confirm(second);
  confirm(second);
  assert.equal(second.open, 2);
  handOver.close("grpc");
  assert.equal(waiting[2]?.isReleased, true);
  assert.equal(handOver.counts.dropped, 1);
});

test("a worker that has just closed its port refuses, and another one gets the connection", () => {
  const { handOver, first, second, confirm } = setUp(2);
  const connection = new Connection();
  handOver.offer(connection);
  confirm(first, false);
  assert.equal(connection.isReleased, false);
  confirm(second);
  assert.equal(connection.isReleased, true);
  handOver.offer(new Connection());
  assert.equal(first.given.length, 1, "it serves the port no more");
});

test("E16: a connection that has not arrived, as the worker has no file for it, goes to another one", () => {
  const { handOver, first, second, confirm } = setUp(2);
  handOver.offer(new Connection());
  handOver.passed(first, 0); // An answer to something before it.
  assert.equal(second.given.length, 0);
  handOver.passed(first, handOver.lastNumber);
  confirm(second);
  assert.deepEqual(handOver.counts, { taken: 1, refused: 0, lost: 1, dropped: 0 });
});

test("whatever happens, each connection is confirmed once or waits, and none is lost", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seeded(seed);
    const clock = new VirtualClock();
    const handOver = new HandOver<Connection>(clock);
    const connections: Connection[] = [];
    const alive = new Set<Worker>();
    let confirmed = 0;
    const steps: readonly (() => void)[] = [
      () => {
        const connection = new Connection();
        connections.push(connection);
        handOver.offer(connection);
      },
      () => {
        const worker = new Worker();
        alive.add(worker);
        handOver.add(worker);
        handOver.setServes(worker, "http", true);
        handOver.setReady(worker, true);
      },
      () => {
        const [worker] = alive;
        if (worker === undefined || random() < 0.7) return;
        alive.delete(worker);
        handOver.remove(worker);
      },
      () => {
        for (const worker of alive) {
          const last = worker.given.at(-1);
          if (last === undefined || last.connection.isReleased || random() < 0.3) continue;
          handOver.taken(worker, last.number, true, ++worker.open);
          if (last.connection.isReleased) confirmed++;
        }
      },
      () => clock.advance(random() * 700),
      () => {
        for (const worker of alive) if (random() < 0.2) handOver.setReady(worker, random() < 0.6);
      },
    ];
    for (let step = 0; step < 300; step++) steps[Math.floor(random() * steps.length)]?.();
    assert.equal(connections.filter(({ isReleased }) => isReleased).length, confirmed, `seed ${seed}`);
    assert.equal(handOver.waiting + confirmed, connections.length, `seed ${seed}`);
    assert.equal(handOver.counts.taken, confirmed, `seed ${seed}`);
  }
});
