// echo_client talks to the server of `ws`: node_server.mjs ECHO_CLIENT
// With TLS_CERTIFICATE and TLS_KEY in the environment, over TLS.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { text as wholeOf } from 'node:stream/consumers';
import { WebSocketServer } from 'ws';
import { check, Conversation, finish, noise, text } from './harness.mjs';

const [echoClient] = process.argv.slice(2);

const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

/** Starts echo_client; `ended` gives its exit status and what it printed. */
function startClient(url, options) {
  const child = spawn(echoClient, [url, ...options]);
  children.add(child);
  child.stdin.on('error', () => {}); // an echo_client that has ended reads no more
  const output = Promise.all([once(child, 'exit'), wholeOf(child.stdout), wholeOf(child.stderr)]);
  const ended = output.then(([[status], stdout, stderr]) => {
    children.delete(child);
    return { status, stdout, stderr };
  });
  return { stdin: child.stdin, ended };
}

const { TLS_CERTIFICATE, TLS_KEY } = process.env;

/** A server that listens, and its URL. */
async function listen(options) {
  if (!TLS_CERTIFICATE) {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
    await once(server, 'listening');
    return { server, url: `ws://127.0.0.1:${server.address().port}`, close: () => server.close() };
  }
  const tls = https.createServer({ cert: readFileSync(TLS_CERTIFICATE), key: readFileSync(TLS_KEY) });
  const server = new WebSocketServer({ server: tls, ...options });
  tls.listen(0, '127.0.0.1');
  await once(tls, 'listening');
  const close = () => {
    server.close();
    tls.close();
  };
  return { server, url: `wss://localhost:${tls.address().port}`, close };
}

/** Runs `body` with a server, and one echo_client that has connected to it. */
async function converse(name, { perMessageDeflate, options }, body) {
  await check(`node server, ${name}`, async () => {
    const { server, url, close } = await listen({ perMessageDeflate });
    try {
      const connected = once(server, 'connection');
      const client = startClient(url, options);
      const failedFirst = client.ended.then(({ status, stderr }) => {
        throw new Error(`echo_client ended with ${status} before it connected: ${stderr}`);
      });
      const [ws, request] = await Promise.race([connected, failedFirst]);
      failedFirst.catch(() => {});
      await body({ conversation: new Conversation(ws), request, client });
    } finally {
      server.clients.forEach((ws) => ws.terminate());
      close();
    }
  });
}

const DIALECTS = [
  { name: 'deflate', perMessageDeflate: { threshold: 0 }, options: [], compressed: true },
  {
    name: 'deflate without context takeover, with 10 window bits',
    perMessageDeflate: {
      threshold: 0,
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 10,
      clientMaxWindowBits: 10,
    },
    options: ['--deflate'],
    compressed: true,
  },
  {
    name: 'deflate with 9 window bits',
    perMessageDeflate: { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
    options: [],
    compressed: true,
  },
  { name: 'deflate declined', perMessageDeflate: false, options: [], compressed: false },
  { name: 'deflate not offered', perMessageDeflate: true, options: ['--no-deflate'], compressed: false },
];

for (const dialect of DIALECTS) {
  const { name, options, compressed } = dialect;
  const echoing = { ...dialect, options: [...options, '--echo'] };

  await converse(`${name}: the negotiated extensions`, dialect, ({ conversation, request }) => {
    const offer = request.headers['sec-websocket-extensions'];
    if (options.includes('--no-deflate')) assert.equal(offer, undefined);
    else assert.match(offer, /^permessage-deflate(;|$)/);
    assert.equal(conversation.ws.extensions, compressed ? 'permessage-deflate' : '');
    assert.equal(request.headers['sec-websocket-protocol'], undefined);
  });

  await converse(`${name}: lines are sent, replies printed, 1000 at the end`, dialect, async (talk) => {
    const { conversation, client } = talk;
    const numbers = Array.from({ length: 500 }, (_, index) => `${index}`);
    const lines = ['hello', '', 'Grüße, 鮭 🐟', text(100_000), ...numbers];
    client.stdin.end(lines.map((line) => `${line}\n`).join(''));
    for (const line of lines) {
      await conversation.expect(line);
      conversation.ws.send(line);
    }
    assert.deepEqual(await conversation.ended, { code: 1000, reason: '' });
    const { status, stdout, stderr } = await client.ended;
    assert.equal(stdout, lines.map((line) => `${line}\n`).join(''), 'what echo_client printed');
    assert.equal(status, 0, stderr);
  });

  await converse(`${name}: outstanding replies are waited for`, dialect, async ({ conversation, client }) => {
    client.stdin.end('early\nlate\n');
    await conversation.expect('early');
    await conversation.expect('late');
    conversation.ws.send('EARLY');
    await new Promise((resolve) => setTimeout(resolve, 500));
    conversation.ws.send('LATE');
    assert.equal((await conversation.ended).code, 1000);
    const { status, stdout, stderr } = await client.ended;
    assert.equal(stdout, 'EARLY\nLATE\n');
    assert.equal(status, 0, stderr);
  });

  await converse(`${name}: text and binary are echoed`, echoing, async ({ conversation, client }) => {
    for (const size of [0, 1, 125, 126, 65535, 65536, 1024 * 1024]) {
      await conversation.echo(text(size));
      await conversation.echo(noise(size));
    }
    const block = noise(20_000); // see node_client.mjs
    for (const message of [Buffer.concat([block, block]), noise(3000), block]) await conversation.echo(message);
    await endCleanly(conversation, client);
  });

  await converse(`${name}: 1000 messages, fragments and pings`, echoing, async ({ conversation, client }) => {
    const { ws } = conversation;
    const messages = Array.from({ length: 1000 }, (_, index) => (index % 2 ? `${index} ${text(300)}` : noise(index)));
    for (const message of messages) ws.send(message);
    for (const message of messages) await conversation.expect(message);

    const pong = once(ws, 'pong');
    const message = Buffer.from(text(3000));
    conversation.sendFragments([message.subarray(0, 1001), message.subarray(1001)], false, () => ws.ping('between'));
    assert.equal((await pong)[0].toString(), 'between');
    await conversation.expect(message.toString());
    await endCleanly(conversation, client);
  });

  await converse(`${name}: a compressible echo is ${compressed ? '' : 'not '}compressed`, echoing, async (talk) => {
    const { conversation, request, client } = talk;
    const before = request.socket.bytesRead;
    await conversation.echo(text(65536));
    const took = request.socket.bytesRead - before;
    assert(compressed ? took < 65536 / 4 : took >= 65536, `the echo of 65536 bytes took ${took} bytes`);
    await endCleanly(conversation, client);
  });

  await converse(`${name}: a lost connection is a failure with --echo`, echoing, async ({ conversation, client }) => {
    await conversation.echo('before the end');
    conversation.ws.terminate();
    await endsInFailure(client);
  });

  await converse(`${name}: a lost connection is a failure`, dialect, async ({ conversation, client }) => {
    client.stdin.write('before the end\n');
    await conversation.expect('before the end');
    conversation.ws.terminate();
    client.stdin.end('after it\n');
    await endsInFailure(client);
  });
}

await check('node server: a refusal fails with the status in the message', async () => {
  const { url, close } = await listen({ verifyClient: () => false });
  const client = startClient(url, []);
  client.stdin.end();
  assert.match(await endsInFailure(client), /\b401\b/);
  close();
});

await check('node server: nobody listens', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  const client = startClient(`ws://127.0.0.1:${port}`, []);
  client.stdin.end();
  await endsInFailure(client);
});

async function endCleanly(conversation, client) {
  assert.deepEqual(await conversation.close(1000, 'done'), { code: 1000, reason: 'done' });
  const { status, stderr } = await client.ended;
  assert.equal(status, 0, stderr);
}

/** A failure is an exit status other than 0 with a message, and neither a panic nor a signal. */
async function endsInFailure(client) {
  const { status, stderr } = await client.ended;
  assert(status > 0, `ended with ${status}`);
  assert.notEqual(stderr.trim(), '');
  assert.doesNotMatch(stderr, /panicked at/);
  return stderr;
}

finish();
