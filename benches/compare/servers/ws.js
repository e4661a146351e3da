// The echo server of `ws` (node): `node ws.js [--deflate LEVEL] [--fan-out]`; with --fan-out each message goes to all.

const { WebSocket, WebSocketServer } = require("ws");

const deflate = process.argv.indexOf("--deflate");
const level = Number(process.argv[deflate + 1]);
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  perMessageDeflate: deflate > 0 && { threshold: 128, zlibDeflateOptions: { level } },
});
const echo = (socket) => (data, isBinary) => socket.send(data, { binary: isBinary });
// As in its documentation.
const fanOut = () => (data, isBinary) => {
  server.clients.forEach((client) => {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
  });
};
const answer = process.argv.includes("--fan-out") ? fanOut : echo;
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", answer(socket));
});
server.on("listening", () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
