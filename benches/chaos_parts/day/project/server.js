// server.js PORT REDIS POSTGRES: a small service that can be made ill. It asks Redis (PING) and PostgreSQL (SSLRequest) in their own words.
'use strict';
const http = require('http');
const net = require('net');
const { spawn } = require('child_process');
const [port, redis, postgres] = process.argv.slice(2).map(Number);
let sick = false;
const kept = [];

// RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/ ; SSLRequest: https://www.postgresql.org/docs/current/protocol-message-formats.html
function ask(port, words, answers) {
  return new Promise((resolve) => {
    if (!port) return resolve(true);
    const socket = net.connect(port, '127.0.0.1', () => socket.write(words));
    const end = (good) => { socket.destroy(); resolve(good); };
    socket.setTimeout(700, () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => resolve(false));
    socket.on('data', (data) => end(answers.includes(data[0])));
  });
}

const faults = {
  hang() { for (;;); },
  exit(query) { process.exit(Number(query.get('code') || 0)); },
  sick() { sick = true; },
  deaf() { server.close(); server.closeAllConnections(); setInterval(() => {}, 1000); },
  leak() { setInterval(() => { if (kept.length < 400) kept.push(Buffer.alloc(4 << 20, 1)); else process.exit(70); }, 10); },
  flood(query) {
    const until = Date.now() + 1000 * Number(query.get('seconds') || 5);
    const line = 'x'.repeat(120) + '\n';
    const more = () => {
      for (let n = 0; n < 500; n++) process.stdout.write(line);
      if (Date.now() < until) setTimeout(more, 5);
    };
    more();
  },
  orphan() {
    const child = spawn('sleep', ['600'], { detached: true, stdio: ['ignore', 'ignore', 'ignore', server._handle.fd] });
    child.on('spawn', () => process.kill(process.pid, 'SIGKILL'));
  },
};

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const fault = faults[url.pathname.replace('/admin/', '')];
  if (fault) {
    response.end('as you wish\n', () => setImmediate(() => fault(url.searchParams)));
    return;
  }
  let good = !sick;
  if (good && url.pathname === '/health') {
    const answers = await Promise.all([ask(redis, 'PING\r\n', [0x2b]), ask(postgres, Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]), [0x4e, 0x53])]);
    good = answers.every(Boolean);
  }
  response.statusCode = good ? 200 : 503;
  response.end(good ? 'well\n' : 'ill\n');
});
server.listen(port, '127.0.0.1');
server.on('error', (error) => { console.error(String(error)); process.exit(1); });
