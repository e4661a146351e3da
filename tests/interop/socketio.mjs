// The official client of Socket.IO talks to socketio_interop: socketio.mjs SERVER_PROGRAM

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';
import { check, finish, noise, text } from './harness.mjs';

const [program] = process.argv.slice(2);

const TRANSPORTS = [
  { name: 'polling', transports: ['polling'], upgrade: false, ends: 'polling' },
  { name: 'websocket', transports: ['websocket'], ends: 'websocket' },
  { name: 'polling, then upgrade', transports: ['polling', 'websocket'], ends: 'websocket' },
];

/** Starts a server; `port` is where it listens. */
async function start(...options) {
  const child = spawn(program, options, { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => child.kill());
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const url = line.replace('listening on ', '');
  return { child, url, port: new URL(url).port };
}

async function stop({ child }) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const open = new Set();

/** A client; `forceNew`, so that each has a connection of its own. */
function client(url, options = {}) {
  const socket = io(url, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100, ...options });
  open.add(socket);
  return socket;
}

async function connected(url, options) {
  const socket = client(url, options);
  // It comes behind `connect`, whose listeners are called at once.
  [socket.recoveredFirst, socket.firstTransport] = await once(socket, 'hello');
  assert(socket.connected);
  return socket;
}

async function upgraded(socket, transport) {
  const { engine } = socket.io;
  if (engine.transport.name !== transport) await once(engine, 'upgrade');
  assert.equal(engine.transport.name, transport);
}

function close() {
  for (const socket of open) {
    socket.io.reconnection(false);
    socket.disconnect();
  }
  open.clear();
}

const plain = await start();
const deflate = await start('--deflate');
const recovering = await start('--recovery');

for (const { name, ends, ...options } of TRANSPORTS) {
  const checks = async (what, body) => {
    await check(`socket.io-client, ${name}: ${what}`, body);
    close();
  };

  await checks('events in order, over the upgrade as well', async () => {
    const socket = await connected(plain.url, options);
    const got = [];
    socket.on('echo', (n) => got.push(n));
    for (let n = 0; n < 300; n += 1) {
      socket.emit('echo', n);
      if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await socket.emitWithAck('reply');
    assert.deepEqual(got, Array.from({ length: 300 }, (_, n) => n));
    await upgraded(socket, ends);
    assert.equal(await socket.emitWithAck('transport'), ends);
  });

  await checks('arguments of every kind', async () => {
    const socket = await connected(plain.url, options);
    const nested = { a: [1, -2.5, 'ä\u001e\n', null, true, { b: noise(10) }], c: { d: noise(1000), e: [] }, f: noise(0) };
    for (const values of [[], [1], ['a', 2, [3]], [[1, 2]], [nested], [noise(5), nested, 'last'], [text(5000)]]) {
      const echoed = once(socket, 'echo');
      socket.emit('echo', ...values);
      assert.deepEqual(await echoed, values);
      assert.deepEqual(await new Promise((resolve) => socket.emit('reply', ...values, (...all) => resolve(all))), values);
    }
  });

  await checks('the server asks and gets an answer', async () => {
    const socket = await connected(plain.url, options);
    socket.on('question', (question, answer) => answer(`re: ${question}`, noise(20)));
    const [words, bytes] = await new Promise((resolve) => {
      socket.emit('ask me', 'why', (...all) => resolve(all));
    });
    assert.equal(words, 're: why');
    assert.deepEqual(bytes, noise(20));
  });

  await checks('namespaces on one connection, and a middleware that refuses with data', async () => {
    const manager = (await connected(plain.url, options)).io;
    const refused = manager.socket('/guarded', { auth: { token: 'wrong' } });
    const [error] = await once(refused, 'connect_error');
    assert.equal(error.message, 'not authorized');
    assert.deepEqual(error.data, { code: 401 });
    refused.auth = { token: 's3cret' };
    refused.connect();
    await once(refused, 'connect');
    assert.equal(await refused.emitWithAck('where'), '/guarded');
    const [unknown] = await once(manager.socket('/nowhere'), 'connect_error');
    assert.equal(unknown.message, 'Invalid namespace');
    refused.disconnect();
  });

  await checks('rooms and broadcasts', async () => {
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => connected(plain.url, options)));
    const said = [first, second, third].map((socket) => {
      const words = [];
      socket.on('said', (word) => words.push(word));
      return words;
    });
    assert.equal(await first.emitWithAck('join', name), 2);
    assert.equal(await second.emitWithAck('join', name), 2);
    await first.emitWithAck('to', name, 'room');
    await third.emitWithAck('to', name, 'from outside');
    const all = once(third, 'said');
    first.emit('all', 'everybody');
    await all;
    await Promise.all([first, second, third].map((socket) => socket.emitWithAck('reply')));
    assert.deepEqual(said, [['from outside', 'everybody'], ['room', 'from outside', 'everybody'], ['everybody']]);
    for (const [n, socket] of [first, second, third].entries()) socket.on('poll', (_, answer) => answer(n));
    assert.deepEqual((await first.emitWithAck('poll all', 'n?')).sort(), [0, 1, 2]);
  });

  await checks('900 kB, and ten attachments', async () => {
    const socket = await connected(plain.url, options);
    await upgraded(socket, ends);
    const large = text(900_000);
    assert.equal(await socket.emitWithAck('reply', large), large);
    const bytes = noise(600_000);
    assert.deepEqual(await socket.emitWithAck('reply', bytes), bytes);
    const ten = Array.from({ length: 10 }, (_, n) => noise(100, `${n}`));
    assert.deepEqual(await socket.emitWithAck('reply', ten), ten);
    assert.equal((await socket.emitWithAck('bytes', Array(10).fill(1000))).length, 10);
  });

  await checks('more than maxHttpBufferSize disconnects', async () => {
    const socket = await connected(plain.url, { ...options, reconnection: false });
    await upgraded(socket, ends);
    socket.emit('echo', text(1_100_000));
    const [reason] = await once(socket, 'disconnect');
    assert.equal(reason, ends === 'polling' ? 'transport error' : 'transport close');
  });

  await checks('the reasons of both ends', async () => {
    let socket = await connected(plain.url, options);
    socket.emit('leave me');
    assert.equal((await once(socket, 'disconnect'))[0], 'io server disconnect');
    socket.connect();
    await once(socket, 'hello');
    socket.emit('close me');
    assert.equal((await once(socket, 'disconnect'))[0], 'io server disconnect');
    socket = await connected(plain.url, options);
    const gone = once(socket, 'disconnect');
    socket.disconnect();
    assert.equal((await gone)[0], 'io client disconnect');
  });

  await checks('reconnection to a server that was started again', async () => {
    let server = await start();
    const socket = await connected(server.url, options);
    const gone = once(socket, 'disconnect');
    const again = once(socket, 'hello');
    await stop(server);
    // A poll may have been under way, or the WebSocket.
    assert.match((await gone)[0], /^transport (close|error)$/);
    server = await start('--port', server.port);
    await again;
    assert.equal(await socket.emitWithAck('reply', 'back'), 'back');
    close();
    await stop(server);
  });

  await checks('recovery after a torn connection', async () => {
    const socket = await connected(recovering.url, options);
    await upgraded(socket, ends);
    assert.equal(socket.recovered, false);
    const { id } = socket;
    const said = [];
    socket.on('said', (words) => said.push(words));
    await socket.emitWithAck('join', `${name} recovers`);
    const other = await connected(recovering.url, options);
    await upgraded(other, ends);
    const gone = once(socket, 'disconnect');
    const again = once(socket, 'hello');
    socket.io.engine.close();
    await gone;
    await other.emitWithAck('to', `${name} recovers`, 'missed');
    other.emit('all', 'missed as well');
    await again;
    assert.equal(socket.recovered, true);
    assert.equal(socket.id, id);
    await socket.emitWithAck('reply');
    assert.deepEqual(said, ['missed', 'missed as well']);
    await other.emitWithAck('to', `${name} recovers`, 'still in the room');
    await socket.emitWithAck('reply');
    assert.equal(said.at(-1), 'still in the room');
  });

  await checks('compression', async () => {
    const perMessageDeflate = { threshold: 0 };
    const socket = await connected(deflate.url, { ...options, perMessageDeflate });
    await upgraded(socket, ends);
    const large = text(200_000);
    assert.equal(await socket.emitWithAck('reply', large), large);
    socket.compress(false).emit('echo', large);
    assert.equal((await once(socket, 'echo'))[0], large);
    if (ends === 'websocket') assert.match(socket.io.engine.transport.ws.extensions, /permessage-deflate/);
  });
}

for (const server of [plain, deflate, recovering]) {
  await check(`socketio_interop ${server.child.spawnargs.slice(1)}: still runs`, async () => {
    assert.equal(server.child.exitCode, null);
    assert.equal(server.child.signalCode, null);
    await stop(server);
  });
}

finish();
