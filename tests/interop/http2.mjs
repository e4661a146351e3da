// WebSockets over HTTP/2 (RFC 8441), against node's `http2` in both roles and chromium over TLS:
// http2.mjs PLAIN_URL TLS_URL CLIENT OUT
// The URLs are http2_echo_server's, and CLIENT is http2_echo_client. On a stream of node's, `ws` speaks the frames.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import path from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { PerMessageDeflate, WebSocket, extension } from 'ws';
import { Conversation, check, finish, noise, text } from './harness.mjs';

const [plainUrl, tlsUrl, client, out] = process.argv.slice(2);
const SIZES = [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 16 << 20];
const MAX_PAYLOAD = 64 << 20;

/** A WebSocket of `ws` on a stream of HTTP/2; `deflate` is what was agreed on. */
function onStream(stream, isServer, deflate) {
  const ws = new WebSocket(null, undefined, { closeTimeout: 30_000 });
  ws._isServer = isServer;
  if (deflate) ws._extensions[PerMessageDeflate.extensionName] = deflate;
  ws.setSocket(stream, Buffer.alloc(0), { allowSynchronousEvents: true, maxPayload: MAX_PAYLOAD, skipUTF8Validation: false });
  return ws;
}

async function settled(session) {
  if (!session.remoteSettings.enableConnectProtocol) await once(session, 'remoteSettings');
  return session.remoteSettings;
}

async function open(session, headers = {}, deflate = false) {
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/echo/node',
    'sec-websocket-version': '13',
    ...(deflate && { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' }),
    ...headers,
  });
  const [response] = await once(stream, 'response');
  return { stream, response };
}

async function openWebSocket(session, deflate) {
  const { stream, response } = await open(session, {}, deflate);
  assert.equal(response[':status'], 200);
  let agreed;
  if (deflate) {
    agreed = new PerMessageDeflate({ isServer: false, maxPayload: MAX_PAYLOAD, threshold: 0 });
    agreed.accept(extension.parse(response['sec-websocket-extensions'])[PerMessageDeflate.extensionName]);
  }
  return new Conversation(onStream(stream, false, agreed));
}

for (const [kind, url] of [['plain', plainUrl], ['TLS', tlsUrl]]) {
  const session = http2.connect(url, { rejectUnauthorized: false });

  await check(`node's client, ${kind}: the server's SETTINGS allow extended CONNECT`, async () => {
    assert.equal((await settled(session)).enableConnectProtocol, true);
  });

  for (const deflate of [false, true]) {
    await check(`node's client, ${kind}, ${deflate ? 'deflate' : 'no deflate'}: messages of all sizes, and a clean end`, async () => {
      const conversation = await openWebSocket(session, deflate);
      for (const size of SIZES) {
        await conversation.echo(text(size));
        await conversation.echo(noise(size));
      }
      assert.deepEqual(await conversation.close(1000, 'done'), { code: 1000, reason: 'done' });
    });
  }

  await check(`node's client, ${kind}: fifty at once on one connection`, async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => openWebSocket(session, true)));
    await Promise.all(all.map((conversation, index) => conversation.echo(noise(200_000, `${index}`))));
    await Promise.all(all.map((conversation) => conversation.close(1000, '')));
  });

  await check(`node's client, ${kind}: refusals have their status, and the connection goes on`, async () => {
    for (const [headers, status] of [
      [{ 'sec-websocket-version': '8' }, 400],
      [{ ':protocol': 'connect-udp' }, 501],
      [{ origin: 'https://elsewhere.example' }, 403],
      [{ 'sec-websocket-protocol': 'a, a' }, 400],
    ]) {
      const { stream, response } = await open(session, headers);
      stream.close();
      assert.equal(response[':status'], status);
    }
    const conversation = await openWebSocket(session, false);
    await conversation.echo('still here');
    await conversation.close(1000, '');
  });

  await check(`node's client, ${kind}: a reset stream is nobody else's`, async () => {
    const [first, second] = [await openWebSocket(session, false), await openWebSocket(session, false)];
    first.ws._socket.close(http2.constants.NGHTTP2_CANCEL);
    await second.echo('still here');
    await second.close(1000, '');
  });

  session.close();
}

/** A server of node's that echoes. */
async function nodeServer(settings) {
  const server = http2.createServer({ settings });
  server.on('stream', (stream, headers) => {
    assert.equal(headers[':protocol'], 'websocket');
    const offers = headers['sec-websocket-extensions'];
    const response = { ':status': 200 };
    let agreed;
    if (offers) {
      agreed = new PerMessageDeflate({ isServer: true, maxPayload: MAX_PAYLOAD, threshold: 0 });
      const params = agreed.accept(extension.parse(offers)[PerMessageDeflate.extensionName]);
      response['sec-websocket-extensions'] = extension.format({ [PerMessageDeflate.extensionName]: [params] });
    }
    stream.respond(response);
    const ws = onStream(stream, true, agreed);
    ws.on('message', (data, binary) => ws.send(data, { binary }));
    ws.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `ws://127.0.0.1:${server.address().port}/echo` };
}

for (const options of [['--no-deflate'], []]) {
  await check(`node's server, ${options.length ? 'no deflate' : 'deflate'}: our client's WebSockets on one connection`, async () => {
    const { server, url } = await nodeServer({ enableConnectProtocol: true });
    const { stdout } = await promisify(execFile)(client, [url, '--websockets', '20', ...options]);
    assert.match(stdout, /20 WebSockets on one connection: every message came back/);
    server.close();
  });
}

await check("node's server without the setting: our client asks for nothing and says why", async () => {
  const { server, url } = await nodeServer({});
  const failed = await promisify(execFile)(client, [url]).catch((error) => error);
  assert.match(failed.stderr ?? '', /NoExtendedConnect/);
  server.close();
});

await check('chromium: eight WebSockets over TLS, all over HTTP/2, compressed and cleanly closed', async () => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ['--disable-gpu', '--disable-quic', '--ignore-certificate-errors', '--no-first-run', '--disable-background-networking'],
  });
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  await page.goto(tlsUrl);
  await page.waitForFunction(() => document.title === 'passed' || document.title === 'failed');
  const lines = await page.locator('li').allInnerTexts();
  await page.screenshot({ path: path.join(out, 'http2.png') });
  await browser.close();
  assert.equal(lines.length, 8);
  for (const line of lines) assert.match(line, /^ok \d: HTTP\/2\.0, permessage-deflate.*, closed with 1000, clean: true$/);
});

finish();
