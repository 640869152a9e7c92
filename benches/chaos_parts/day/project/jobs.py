"""jobs.py PORT POSTGRES: as server.js, with threads."""
import os, signal, socket, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PORT, POSTGRES = int(sys.argv[1]), int(sys.argv[2])
turn, state, kept = threading.Lock(), {"sick": False}, []


def postgres():
    """SSLRequest: https://www.postgresql.org/docs/current/protocol-message-formats.html"""
    try:
        with socket.create_connection(("127.0.0.1", POSTGRES), 0.7) as server:
            server.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47]))
            return server.recv(1) in (b"N", b"S")
    except OSError:
        return False


def leak():
    while len(kept) < 400:
        kept.append(bytearray(b"x" * (4 << 20)))
        time.sleep(0.01)
    os._exit(70)


def flood(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sys.stdout.write(("x" * 120 + "\n") * 500)
        sys.stdout.flush()
        time.sleep(0.005)


def deaf():
    server.shutdown()
    server.server_close()


def orphan():
    subprocess.Popen(["sleep", "600"], pass_fds=[server.fileno()], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.kill(os.getpid(), signal.SIGKILL)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        number = lambda name, default: float(query.get(name, [default])[0])
        faults = {
            "/admin/hang": turn.acquire,
            "/admin/exit": lambda: os._exit(int(number("code", 0))),
            "/admin/sick": lambda: state.update(sick=True),
            "/admin/deaf": deaf,
            "/admin/leak": leak,
            "/admin/flood": lambda: flood(number("seconds", 5)),
            "/admin/orphan": orphan,
        }
        fault = faults.get(url.path)
        if fault:
            self.answer(True)
            threading.Thread(target=fault, daemon=True).start()
            return
        with turn:
            self.answer(not state["sick"] and (url.path != "/health" or postgres()))

    def answer(self, good):
        self.send_response(200 if good else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


server = Server(("127.0.0.1", PORT), Handler)
server.serve_forever(0.1)
time.sleep(1e9)
