/** The variable by which a primary says to a worker which one it is: its number, and the id of the primary. */
export const workerVariable = "TSMS_WORKER";

const number = readNumber(process.env[workerVariable]);

/** The number of this worker, from 1 on; undefined in a process that is no worker. */
export function workerId(): number | undefined {
  return number;
}

/** Programs that a worker starts inherit its environment, and are no workers. */
function readNumber(text = ""): number | undefined {
  const [id = "", primary] = text.split("@");
  if (primary === undefined || process.send === undefined) return undefined;
  // One whose primary has ended while it was started has another parent by now: it is to end, and no primary.
  return Number(primary) === process.ppid || isGone(Number(primary)) ? Number(id) : undefined;
}

function isGone(pid: number): boolean {
  try {
    return !process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH"; // `kill` throws no other.
  }
}
