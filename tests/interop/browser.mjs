// Chromium opens echo_server's page and holds conversations: browser.mjs DEFLATE_URL PLAIN_URL OUT
// The screenshots go to the folder OUT.

import assert from 'node:assert/strict';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { check, finish } from './harness.mjs';

const [deflateUrl, plainUrl, out] = process.argv.slice(2);

// Without these it asks for hosts that no test needs.
const QUIET = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: QUIET });

for (const [name, url, compressed] of [
  ['deflate', deflateUrl, true],
  ['no-deflate', plainUrl, false],
]) {
  const page = await browser.newPage();
  page.setDefaultTimeout(10_000);
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));

  await check(`chromium, ${name}: the page connects and shows what is echoed`, async () => {
    await page.goto(url.replace('ws:', 'http:'));
    await page.locator('#status', { hasText: 'connected' }).waitFor();
    assert.equal((await page.locator('#status').innerText()).trim(), 'connected');
    for (const message of ['hello from chromium', 'Grüße, 鮭 🐟', '<b>&amp;</b>']) {
      await page.fill('#input', message);
      await page.click('#send');
      await page.locator('#log', { hasText: `← ${message}` }).waitFor();
      const lines = (await page.locator('#log').innerText()).split('\n').map((line) => line.trim());
      assert(lines.includes(`→ ${message}`), `no line "→ ${message}" in ${lines}`);
      assert(lines.includes(`← ${message}`), `no line "← ${message}" in ${lines}`);
    }
    assert.deepEqual(errors, []);
  });
  await page.screenshot({ path: path.join(out, `${name}.png`) });

  await check(`chromium, ${name}: a script converses in text and binary`, async () => {
    const seen = await page.evaluate(converse, url);
    assert.match(seen.extensions, compressed ? /^permessage-deflate(;|$)/ : /^$/);
    assert.equal(seen.protocol, '');
    assert.deepEqual(seen.wrong, []);
    assert.deepEqual(seen.end, { code: 3001, reason: 'bye', wasClean: true });
  });

  await check(`chromium, ${name}: 1009 for a message that is too big`, async () => {
    const end = await page.evaluate(sendTooBig, url);
    assert.equal(end.code, 1009);
  });

  await page.close();
}

await browser.close();
finish();

/** Runs in the page, so it can use nothing from outside. */
async function converse(url) {
  const ws = new WebSocket(url);
  ws.binaryType = 'arraybuffer';
  await new Promise((resolve, reject) => {
    ws.onopen = resolve;
    ws.onerror = () => reject(new Error('it does not open'));
  });

  const noise = new Uint8Array(50_000);
  crypto.getRandomValues(noise);
  const sent = [
    'text',
    '',
    'Grüße, 鮭 🐟',
    noise,
    new Uint8Array(0),
    'sockeye '.repeat(37_500), // 300 kB
    noise,
    ...Array.from({ length: 500 }, (_, index) => `message ${index}`),
  ];
  const received = [];
  const ended = new Promise((resolve) => {
    ws.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
  });
  const all = new Promise((resolve) => {
    ws.onmessage = ({ data }) => {
      if (received.push(data) === sent.length) resolve();
    };
  });
  for (const message of sent) ws.send(message);
  await Promise.race([all, ended]);

  const bytes = (message) => (typeof message === 'string' ? message : new Uint8Array(message).join());
  const wrong = sent.flatMap((message, index) => {
    const same = typeof message === typeof received[index] && bytes(message) === bytes(received[index]);
    return same ? [] : [index];
  });
  const { extensions, protocol } = ws;
  ws.close(3001, 'bye');
  return { extensions, protocol, wrong, end: await ended };
}

/** Runs in the page, so it can use nothing from outside. */
async function sendTooBig(url) {
  const ws = new WebSocket(url);
  return new Promise((resolve) => {
    ws.onopen = () => ws.send('x'.repeat(1024 * 1024 + 1));
    ws.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
  });
}
