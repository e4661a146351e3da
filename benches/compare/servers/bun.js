// The echo server of Bun, which is uWebSockets inside: `bun bun.js [--deflate KIND]`, where KIND is one of Bun's
// names of a compressor: "shared", "dedicated", …

const deflate = process.argv.indexOf("--deflate");
const kind = deflate > 0 && process.argv[deflate + 1];
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("a WebSocket server", { status: 426 })),
  websocket: {
    perMessageDeflate: kind ? { compress: kind, decompress: kind } : false,
    message: (socket, message) => socket.send(message, Boolean(kind)),
  },
});
console.log(`listening on ws://127.0.0.1:${server.port}`);
