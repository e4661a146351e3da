// What the scripts for Node.js share: checks, payloads, and a WebSocket of `ws` that is awaited step by step.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { on } from 'node:events';

const LIMIT_SECONDS = 30;

let failures = 0;

/** Runs one check and prints its line; a check that fails doesn't keep the next ones from running. */
export async function check(name, body) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${LIMIT_SECONDS} s`)), LIMIT_SECONDS * 1000);
  });
  try {
    await Promise.race([body(), late]);
    console.log(`ok    ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL  ${name}: ${error.message.replaceAll('\n', ' ')}`);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends the process, whatever a failed check may have left open. */
export function finish() {
  process.exit(failures === 0 ? 0 : 1);
}

/** A text of exactly `size` bytes of UTF-8, which compresses well and has characters of one to four bytes. */
export function text(size) {
  const phrase = 'sockeye, Rotlachs, нерка, ベニザケ, 🐟; ';
  let whole = phrase.repeat(Math.floor(size / Buffer.byteLength(phrase)));
  return whole + '.'.repeat(size - Buffer.byteLength(whole));
}

/** `size` bytes that don't compress, the same ones for the same `seed`. */
export function noise(size, seed = '') {
  return createHash('shake256', { outputLength: size }).update(seed).digest();
}

/** A WebSocket whose messages and end are awaited. */
export class Conversation {
  #messages;

  constructor(ws) {
    this.ws = ws;
    this.#messages = on(ws, 'message', { close: ['close'] });
    this.ended = new Promise((resolve) => {
      ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    ws.on('error', () => {}); // `close` follows, and says what is checked
  }

  /** Waits for the next message: a string or, if it is binary, a Buffer. */
  async receive() {
    const { value, done } = await this.#messages.next();
    assert(!done, 'the connection ended before the message came');
    const [data, isBinary] = value;
    return isBinary ? data : data.toString();
  }

  async expect(message) {
    const received = await this.receive();
    assert.equal(typeof received, typeof message, 'text came for binary, or binary for text');
    const same = typeof message === 'string' ? received === message : received.equals(message);
    assert(same, `${describe(received)} came for ${describe(message)}`);
  }

  async echo(message, options = {}) {
    this.ws.send(message, options);
    await this.expect(message);
  }

  /** Sends `chunks` as the fragments of one message, with `between` called after each but the last. */
  sendFragments(chunks, binary, between = () => {}) {
    chunks.forEach((chunk, index) => {
      const fin = index === chunks.length - 1;
      this.ws.send(chunk, { fin, binary });
      if (!fin) between();
    });
  }

  async close(code, reason) {
    this.ws.close(code, reason);
    return this.ended;
  }
}

function describe(message) {
  const kind = typeof message === 'string' ? 'text' : 'binary';
  const start = Buffer.from(message).subarray(0, 16).toString('hex');
  return `${kind} of ${Buffer.byteLength(message)} bytes (${start}…)`;
}
