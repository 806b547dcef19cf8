import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** A password hash: the string format of the Password Hashing Competition, `$scrypt$ln=15,r=8,p=1$SALT$HASH`. */
export interface PasswordHash {
  /** Logarithm of the cost N to the base 2. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** Cost of new hashes: 32 MiB and about 80 ms. */
const cost = { ln: 15, r: 8, p: 1 };

/** A hash that needs more memory than this is refused, in bytes. */
const maxMemoryBytes = 256 * 1024 * 1024;

/** Reads a password hash. @throws Error that says what is wrong, without the hash */
export function parsePasswordHash(text: string): PasswordHash {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([^$]+)\$([^$]+)$/.exec(text);
  const [, cost1 = "", cost2 = "", cost3 = "", saltText = "", hashText = ""] = match ?? [];
  const [salt, hash] = [Buffer.from(saltText, "base64"), Buffer.from(hashText, "base64")];
  if (match === null || unpadded(salt) !== saltText || unpadded(hash) !== hashText) {
    throw new Error("it must be a scrypt hash such as $scrypt$ln=15,r=8,p=1$SALT$HASH");
  }
  const [ln, r, p] = [Number(cost1), Number(cost2), Number(cost3)];
  if (ln < 10 || r < 1 || p < 1 || p > 16)
    throw new Error("its cost must be at least ln=10,r=1,p=1 and at most p=16");
  if (128 * 2 ** ln * r > maxMemoryBytes) throw new Error("it needs more than 256 MiB of memory to verify");
  if (salt.length < 8 || hash.length < 16)
    throw new Error("its salt must have 8 bytes at least, its hash 16");
  return { ln, r, p, salt, hash };
}

/** Whether a password is that of a hash. The work is done by the thread pool. */
export async function fitsPassword(password: string, of: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, of, of.hash.length), of.hash);
}

/** The hash of a password with a new salt, for a file of users. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, { ...cost, salt }, 32);
  const { ln, r, p } = cost;
  return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(hash)}`;
}

function derive(
  password: string,
  { ln, r, p, salt }: Omit<PasswordHash, "hash">,
  bytes: number,
): Promise<Buffer> {
  const options = { N: 2 ** ln, r, p, maxmem: maxMemoryBytes + 2 ** 20 };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFC"), salt, bytes, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
