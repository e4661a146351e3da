// The client of `ws` talks to echo_server: node_client.mjs DEFLATE_URL PLAIN_URL

import assert from 'node:assert/strict';
import { once } from 'node:events';
import WebSocket from 'ws';
import { check, Conversation, finish, noise, text } from './harness.mjs';

const [deflateUrl, plainUrl] = process.argv.slice(2);

const MAX_MESSAGE = 1024 * 1024; // echo_server's default
const SIZES = [0, 1, 125, 126, 65535, 65536];

// `agreed` is what the server's answer has to hold, as a parameter or a bound of its value.
const DIALECTS = [
  { name: 'deflate', url: deflateUrl, offer: {}, agreed: {} },
  {
    name: 'deflate without context takeover',
    url: deflateUrl,
    offer: { serverNoContextTakeover: true, clientNoContextTakeover: true },
    agreed: { server_no_context_takeover: true },
  },
  {
    name: 'deflate without the server’s context takeover',
    url: deflateUrl,
    offer: { serverNoContextTakeover: true },
    agreed: { server_no_context_takeover: true },
  },
  {
    name: 'deflate with 10 window bits',
    url: deflateUrl,
    offer: { serverMaxWindowBits: 10, clientMaxWindowBits: 10 },
    agreed: { server_max_window_bits: 10 },
  },
  {
    name: 'deflate with 9 window bits, without context takeover',
    url: deflateUrl,
    offer: {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 9,
      clientMaxWindowBits: 9,
    },
    agreed: { server_no_context_takeover: true, server_max_window_bits: 9 },
  },
  { name: 'deflate not offered', url: deflateUrl, offer: false },
  { name: 'deflate offered and declined', url: plainUrl, offer: {} },
  { name: 'no deflate on either side', url: plainUrl, offer: false },
];

/** Opens a connection; `conversation.response` is the server's answer to the handshake. */
async function open({ url, offer }) {
  const perMessageDeflate = offer && { threshold: 0, ...offer };
  const ws = new WebSocket(url, { perMessageDeflate, handshakeTimeout: 10_000 });
  const conversation = new Conversation(ws);
  ws.on('upgrade', (response) => {
    conversation.response = response;
  });
  await once(ws, 'open');
  return conversation;
}

for (const dialect of DIALECTS) {
  const { name, agreed } = dialect;

  async function converse(what, body) {
    await check(`node client, ${name}: ${what}`, async () => {
      const conversation = await open(dialect);
      try {
        await body(conversation);
      } finally {
        conversation.ws.terminate();
      }
    });
  }

  await converse('the negotiated extensions and no subprotocol', ({ ws, response }) => {
    const answer = response.headers['sec-websocket-extensions'];
    assert.equal(ws.extensions, agreed ? 'permessage-deflate' : '');
    assert.equal(ws.protocol, '');
    assert.equal(response.headers['sec-websocket-protocol'], undefined);
    if (!agreed) {
      assert.equal(answer, undefined);
      return;
    }
    const parameters = new Map(answer.split(';').map((parameter) => parameter.trim().split('=')));
    for (const [parameter, bound] of Object.entries(agreed)) {
      assert(parameters.has(parameter), `${parameter} is absent from "${answer}"`);
      if (bound !== true) assert(Number(parameters.get(parameter)) <= bound, answer);
    }
  });

  await converse('text of 0 bytes to 1 MiB', async (conversation) => {
    for (const size of [...SIZES, MAX_MESSAGE - 1, MAX_MESSAGE]) await conversation.echo(text(size));
  });

  // Deflate makes noise longer, so one of 1 MiB may be refused for its length on the wire.
  await converse('binary of 0 bytes to almost 1 MiB', async (conversation) => {
    for (const size of [...SIZES, MAX_MESSAGE - 16_384]) await conversation.echo(noise(size));
  });

  // zlib notices a reference behind a small window only when it leaves the 16 KiB
  // that Node.js inflates at a time.
  await converse('repetitions far apart', async (conversation) => {
    const block = noise(20_000);
    const repeated = Buffer.concat([block, block, block]);
    for (const message of [repeated, noise(3000), repeated, block, noise(3000), text(3000), block]) {
      await conversation.echo(message);
    }
  });

  await converse(`a compressible echo is ${agreed ? '' : 'not '}compressed`, async (conversation) => {
    const { socket } = conversation.response;
    const before = socket.bytesRead;
    await conversation.echo(text(65536));
    const took = socket.bytesRead - before;
    assert(agreed ? took < 65536 / 4 : took >= 65536, `the echo of 65536 bytes took ${took} bytes`);
  });

  await converse('fragments, with a ping between each two', async (conversation) => {
    const { ws } = conversation;
    const message = Buffer.from(text(3000));
    const pongs = [];
    ws.on('pong', (payload) => pongs.push(payload.toString()));
    const ping = () => ws.ping('between');

    const everyByte = [...message.subarray(0, 100)].map((byte) => Buffer.of(byte));
    for (const binary of [false, true]) {
      conversation.sendFragments([message.subarray(0, 1001), message.subarray(1001)], binary, ping);
      await conversation.expect(binary ? message : message.toString());
      conversation.sendFragments(['', '', ''], binary, ping);
      await conversation.expect(binary ? Buffer.alloc(0) : '');
    }
    conversation.sendFragments(everyByte, true);
    await conversation.expect(message.subarray(0, 100));
    // Pings that wait together may be answered by the pong to the newest (RFC 6455 §5.5.3).
    assert(pongs.length >= 1 && pongs.every((payload) => payload === 'between'), `pongs: ${pongs}`);
  });

  await converse('a pong carries its ping’s payload', async ({ ws }) => {
    for (const payload of [Buffer.alloc(0), Buffer.from('sockeye'), noise(125)]) {
      const pong = once(ws, 'pong');
      ws.ping(payload);
      assert.deepEqual((await pong)[0], payload);
    }
  });

  await converse('2000 messages in a row come back in order', async (conversation) => {
    const messages = Array.from({ length: 2000 }, (_, index) => {
      const size = (index * 37) % 600;
      return index % 2 === 0 ? `${index} ${text(size)}` : noise(size, `${index}`);
    });
    messages.forEach((message, index) => conversation.ws.send(message, { compress: index % 3 !== 0 }));
    for (const message of messages) await conversation.expect(message);
  });

  await converse('close codes and reasons are echoed', async (first) => {
    await first.echo('before the end');
    assert.deepEqual(await first.close(3000, 'bye'), { code: 3000, reason: 'bye' });
    const longest = text(123);
    assert.deepEqual(await (await open(dialect)).close(1000, longest), { code: 1000, reason: longest });
    assert.deepEqual(await (await open(dialect)).close(4999), { code: 4999, reason: '' });
    assert.deepEqual(await (await open(dialect)).close(), { code: 1005, reason: '' });
  });

  await converse('messages sent before a close are echoed before it', async (conversation) => {
    for (let index = 0; index < 100; index += 1) conversation.ws.send(`${index}`);
    const end = conversation.close(1000, 'done');
    for (let index = 0; index < 100; index += 1) await conversation.expect(`${index}`);
    assert.deepEqual(await end, { code: 1000, reason: 'done' });
  });

  for (const size of [MAX_MESSAGE + 1, 4 * MAX_MESSAGE]) {
    await converse(`1009 for a message of ${size} bytes`, async (conversation) => {
      await conversation.echo('before');
      conversation.ws.send(text(size));
      assert.equal((await conversation.ended).code, 1009);
    });
  }

  await converse('1009 for fragments of 1 MiB + 1 byte', async (conversation) => {
    conversation.sendFragments([text(MAX_MESSAGE / 2), text(MAX_MESSAGE / 2), '.'], false);
    assert.equal((await conversation.ended).code, 1009);
  });
}

await check('node client: an offered subprotocol is not taken', async () => {
  const [error] = await once(new WebSocket(deflateUrl, ['chat']), 'error');
  assert.equal(error.message, 'Server sent no subprotocol');
});

await check('node client: 100 connections at once', async () => {
  const conversations = await Promise.all(Array.from({ length: 100 }, () => open(DIALECTS[0])));
  await Promise.all(conversations.map((conversation, index) => conversation.echo(`${index} ${text(2000)}`)));
  const ends = await Promise.all(conversations.map((conversation) => conversation.close(1000)));
  assert(ends.every(({ code }) => code === 1000));
});

finish();
