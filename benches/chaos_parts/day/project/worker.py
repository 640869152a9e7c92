"""worker.py REDIS FLAGS: takes jobs from a list of Redis, and writes a heartbeat with its pid; does what FLAGS.do says."""
import os, socket, sys, time

REDIS, FLAGS = int(sys.argv[1]), sys.argv[2]
server, kept = None, []


def command(*words):
    """RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/"""
    global server
    try:
        if server is None:
            server = socket.create_connection(("127.0.0.1", REDIS), 0.2)
            server.settimeout(0.2)
        server.sendall(("*%d\r\n" % len(words) + "".join("$%d\r\n%s\r\n" % (len(word), word) for word in words)).encode())
        return server.recv(4096)
    except OSError:
        if server:
            server.close()
        server = None
        return b""


def fault(words):
    if words[0] == "hang":
        time.sleep(1e9)
    elif words[0] == "exit":
        os._exit(int(words[1]))
    elif words[0] == "leak":
        while len(kept) < 400:
            kept.append(bytearray(b"x" * (4 << 20)))
        os._exit(70)
    elif words[0] == "flood":
        until = time.monotonic() + float(words[1])
        while time.monotonic() < until:
            sys.stdout.write(("x" * 120 + "\n") * 500)
            sys.stdout.flush()
            beat()
            time.sleep(0.005)


def beat():
    with open(FLAGS + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.replace(FLAGS + ".new", FLAGS + ".beat")


while True:
    beat()
    command("LPOP", "jobs")
    try:
        with open(FLAGS + ".do") as file:
            words = file.read().split()
        os.remove(FLAGS + ".do")
    except OSError:
        words = []
    if words:
        fault(words)
    time.sleep(0.1)
