// Chromium plays two users of each page of the Socket.IO examples: pages.mjs CHAT AXUM GAME DASHBOARD OUT
// The first four are the addresses of their servers; the screenshots go to the folder OUT.

import assert from 'node:assert/strict';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { check, finish } from './harness.mjs';

const [chatUrl, axumUrl, gameUrl, dashboardUrl, out] = process.argv.slice(2);

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
const errors = [];
const elsewhere = [];

/** A user with a browser of their own. */
async function open(url, { dark = false, width = 1100, height = 700 } = {}) {
  const context = await browser.newContext({ colorScheme: dark ? 'dark' : 'light', viewport: { width, height } });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.on('pageerror', (error) => errors.push(`${url}: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin)) elsewhere.push(request.url());
  });
  await page.goto(url);
  return page;
}

const shoot = (page, name) => page.screenshot({ path: path.join(out, `${name}.png`) });
const connected = (page) => page.locator('#state', { hasText: 'connected' }).filter({ hasNotText: 'not' }).waitFor();
// The scripts of the pages are classic ones, so their `socket` is there for these.
const onWebSocket = (page) => page.waitForFunction(() => socket.io.engine.transport.name === 'websocket');

await check('chat: a name is asked for, and one that is no name is refused', async () => {
  const page = await open(chatUrl);
  await page.locator('#who[open]').waitFor();
  await page.fill('#name', '   ');
  await page.click('#introduction button');
  await page.locator('#state', { hasText: 'There is nothing in it.' }).waitFor();
  await page.fill('#name', 'Mary');
  await page.click('#introduction button');
  await connected(page);
  await page.context().close();
});

await check('chat: two talk, type, whisper, and change rooms', async () => {
  const ada = await open(`${chatUrl}/?name=Ada`);
  const grace = await open(`${chatUrl}/?name=Grace`, { dark: true });
  await Promise.all([onWebSocket(ada), onWebSocket(grace)]);
  const say = async (page, text) => {
    await page.fill('#text', text);
    await page.click('#form > button');
  };
  const heard = (page, text) => page.locator('#said li', { hasText: text }).waitFor();

  await ada.locator('#guests', { hasText: 'Grace' }).waitFor();
  await grace.locator('#said .news', { hasText: 'You are in' }).waitFor();
  await say(ada, 'Has anybody seen the salmon? <b>&amp;</b>');
  await heard(grace, 'Has anybody seen the salmon? <b>&amp;</b>');
  await say(grace, 'They are at the falls, Grüße 🐟');
  await heard(ada, 'They are at the falls, Grüße 🐟');

  await grace.locator('#text').pressSequentially('I am');
  await ada.locator('#typing', { hasText: 'Grace is typing' }).waitFor();
  await shoot(ada, 'chat-typing');
  await grace.fill('#text', '');
  await ada.waitForFunction(() => document.querySelector('#typing').textContent === '');

  await ada.locator('#guests button', { hasText: 'Grace' }).click();
  await say(ada, 'Only you know where they sleep.');
  await heard(grace, 'Only you know where they sleep.');
  await heard(ada, 'to Grace alone');
  await shoot(ada, 'chat');
  await shoot(grace, 'chat-dark');

  const late = await open(`${chatUrl}/?name=Late`, { width: 420, height: 760 });
  await heard(late, 'They are at the falls');
  assert.equal(await late.locator('#said li', { hasText: 'Only you know' }).count(), 0);
  await shoot(late, 'chat-narrow');
  await late.context().close();

  await grace.locator('#rooms button', { hasText: 'river' }).click();
  await ada.waitForFunction(() => !document.querySelector('#guests').textContent.includes('Grace'));
  await say(ada, 'Where have you gone?');
  await heard(ada, 'Where have you gone?');
  assert.equal(await grace.locator('#said li', { hasText: 'Where have you gone?' }).count(), 0);
  for (const page of [ada, grace]) await page.context().close();
});

await check('chat: what is too long, nothing, or too much is refused', async () => {
  const page = await open(`${chatUrl}/?name=Eve`);
  await page.locator('#said .news', { hasText: 'You are in' }).waitFor();
  const answers = await page.evaluate(async () => {
    const ask = (...said) => socket.timeout(2000).emitWithAck(...said);
    return [await ask('say', 'x'.repeat(501)), await ask('say', ' '), await ask('join', 'attic'), await ask('whisper', 'lobby', 'to all')];
  });
  assert.deepEqual(answers.map((answer) => Object.keys(answer)), [['Err'], ['Err'], ['Err'], ['Err']]);
  const outcomes = await page.evaluate(() => Promise.allSettled([
    socket.timeout(500).emitWithAck('say', { not: 'a text' }),
    ...Array.from({ length: 40 }, (_, index) => socket.timeout(500).emitWithAck('say', `spam ${index}`)),
  ]).then((all) => all.map(({ status }) => status)));
  assert.equal(outcomes[0], 'rejected');
  const passed = outcomes.filter((status) => status === 'fulfilled').length;
  assert(passed > 5 && passed < 25, `${passed} of 40 passed`);
  await page.locator('#said .news', { hasText: 'You send too much' }).first().waitFor();
  await page.context().close();
});

async function logIn(page, name, password) {
  await page.fill('#name', name);
  await page.fill('#password', password);
  await page.click('#login button');
}

await check('axum: whoever logs in sees what the others do', async () => {
  const ada = await open(axumUrl);
  await logIn(ada, 'ada', 'wrong');
  await ada.locator('#problem', { hasText: 'not a name and its password' }).waitFor();
  await shoot(ada, 'axum-login');
  await logIn(ada, 'ada', 'analytical');
  await connected(ada);
  const grace = await open(axumUrl, { dark: true });
  await logIn(grace, 'grace', 'nanosecond');
  await ada.locator('#users', { hasText: 'ada, grace' }).waitFor();
  for (const [page, text] of [[ada, 'Count the salmon'], [grace, 'Mend the net'], [ada, '<i>Smoke</i> none of them']]) {
    await page.fill('#text', text);
    await page.click('#add button');
    for (const other of [ada, grace]) await other.locator('#notes li', { hasText: text }).waitFor();
  }
  await grace.locator('#notes li', { hasText: 'Mend the net' }).locator('input').check();
  await ada.locator('#notes li.done', { hasText: 'Mend the net' }).waitFor();
  await shoot(ada, 'axum');
  await shoot(grace, 'axum-dark');
  await ada.click('#logout');
  await ada.locator('#login').waitFor();
  await grace.locator('#users', { hasText: /^Logged in: grace$/ }).waitFor();
  assert.equal((await ada.request.get(`${axumUrl}/api/notes`)).status(), 401);
  const refused = await ada.evaluate(() => new Promise((resolve) => {
    session = { token: 'guessed' };
    socket.once('connect_error', ({ message, data }) => resolve({ message, data }));
    socket.connect();
  }));
  assert.deepEqual(refused, { message: 'not logged in', data: { status: 401 } });
  for (const page of [ada, grace]) await page.context().close();
});

await check('game: two swim, 30 times in a second', async () => {
  const ada = await open(`${gameUrl}/?name=Ada`);
  const grace = await open(`${gameUrl}/?name=Grace`, { dark: true });
  await Promise.all([onWebSocket(ada), onWebSocket(grace)]);
  await grace.locator('#scores', { hasText: 'Ada' }).waitFor();
  const place = (page) => page.evaluate(() => { const { x, y } = now.fish.get(world.me); return { x, y }; });
  const start = await place(ada);
  const keys = start.x < 800 ? 'ArrowRight' : 'ArrowLeft';
  await ada.keyboard.down(keys);
  await grace.mouse.move(400, 350);
  await grace.mouse.down();
  await ada.waitForTimeout(1500);
  await Promise.all([shoot(ada, 'game'), shoot(grace, 'game-dark')]);
  await ada.keyboard.up(keys);
  await grace.mouse.up();
  const end = await place(ada);
  assert(Math.abs(end.x - start.x) > 150, `from ${start.x} to ${end.x}`);
  const seen = await grace.evaluate(() => [...names.values()].sort());
  assert.deepEqual(seen, ['Ada', 'Grace']);
  const rate = await ada.evaluate(() => new Promise((resolve) => {
    let count = 0;
    socket.on('state', (state) => { count += state instanceof ArrayBuffer ? 1 : -1000; });
    setTimeout(() => resolve(count / 2), 2000);
  }));
  assert(rate > 20 && rate < 36, `${rate} updates a second`);
  await grace.context().close();
  await ada.waitForFunction(() => names.size === 1);
  await ada.context().close();
});

await check('dashboard: samples are drawn, notices shown, and those that were missed as well', async () => {
  const one = await open(dashboardUrl);
  const other = await open(`${dashboardUrl}/?show=events`, { dark: true });
  await Promise.all([onWebSocket(one), onWebSocket(other)]);
  const noticed = (page, text) => page.locator('#notices li', { hasText: text }).waitFor();
  await one.fill('#text', 'The salmon are <b>late</b>.');
  await one.selectOption('#level', 'warning');
  await one.click('#notify button');
  for (const page of [one, other]) await noticed(page, 'The salmon are <b>late</b>.');
  const posted = (level, text) => one.request.post(`${dashboardUrl}/notices`, { data: { level, text } });
  assert.equal((await posted('info', 'A ladder was built.')).status(), 204);
  assert.equal((await posted('problem', '')).status(), 422);
  assert.equal((await posted('loud', 'x')).status(), 422);
  await noticed(other, 'A ladder was built.');

  await one.evaluate(() => { socket.io.engine.close(); });
  assert.equal((await posted('problem', 'The river is dry.')).status(), 204);
  await one.locator('#state', { hasText: 'no notice was missed' }).waitFor();
  await noticed(one, 'The river is dry.');
  assert.equal(await one.locator('#notices li').count(), 3);

  await one.waitForFunction(() => document.querySelector('.line')?.points.length >= 6);
  await other.locator('#tile-clients b', { hasText: /^2$/ }).waitFor();
  await one.locator('#chart').hover();
  await one.locator('#tip', { hasText: 'MiB' }).waitFor();
  await shoot(one, 'dashboard');
  await shoot(other, 'dashboard-dark');
  await other.setViewportSize({ width: 420, height: 900 });
  await shoot(other, 'dashboard-narrow');
  for (const page of [one, other]) await page.context().close();
});

await check('pages: no error in any of them, and nothing is asked for elsewhere', async () => {
  assert.deepEqual(errors, []);
  assert.deepEqual(elsewhere, []);
});

await browser.close();
finish();
