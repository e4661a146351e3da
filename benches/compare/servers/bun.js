// The echo server of Bun, which is uWebSockets inside: `bun bun.js [--deflate KIND] [--fan-out]`, where KIND is one
// of Bun's names of a compressor: "shared", "dedicated", …; with --fan-out each message goes to all.

const deflate = process.argv.indexOf("--deflate");
const kind = deflate > 0 && process.argv[deflate + 1];
const echo = { message: (socket, message) => socket.send(message, Boolean(kind)) };
const fanOut = {
  // Only one of them ever says anything.
  idleTimeout: 0,
  open: (socket) => socket.subscribe("all"),
  message: (socket, message) => server.publish("all", message, Boolean(kind)),
};
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("a WebSocket server", { status: 426 })),
  websocket: {
    perMessageDeflate: kind ? { compress: kind, decompress: kind } : false,
    ...(process.argv.includes("--fan-out") ? fanOut : echo),
  },
});
console.log(`listening on ws://127.0.0.1:${server.port}`);
