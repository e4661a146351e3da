// The echo server of socket.io, with the events of examples/socketio_echo: `node socketio.js`, or the same by Bun, where
// `--engine` puts Bun's own server in the place of node's.

const { Server } = require("socket.io");

const options = { maxHttpBufferSize: 4 << 20 };
const listening = (port) => console.log(`listening on http://127.0.0.1:${port}`);
const io = new Server(options);
io.on("connection", (socket) => {
  socket.join("room");
  socket.on("msg", (said) => socket.emit("msg", said));
  socket.on("bin", (bytes) => socket.emit("bin", bytes));
  socket.on("ack", (said, acknowledge) => acknowledge(said));
  socket.on("bcast", (said) => io.to("room").emit("bcast", said));
});
if (process.argv.includes("--engine")) {
  const { Server: Engine } = require("@socket.io/bun-engine");
  const engine = new Engine({ path: "/socket.io/", ...options });
  io.bind(engine);
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, ...engine.handler() });
  listening(server.port);
} else {
  const server = require("http").createServer();
  io.attach(server);
  server.listen(0, "127.0.0.1", () => listening(server.address().port));
}
