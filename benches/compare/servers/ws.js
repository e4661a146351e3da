// The echo server of `ws` (node): `node ws.js [--deflate LEVEL]`.

const { WebSocketServer } = require("ws");

const deflate = process.argv.indexOf("--deflate");
const level = Number(process.argv[deflate + 1]);
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  perMessageDeflate: deflate > 0 && { threshold: 128, zlibDeflateOptions: { level } },
});
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.on("listening", () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
