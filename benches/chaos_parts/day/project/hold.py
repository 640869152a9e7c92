"""hold.py PID PORT SECONDS: ends a process and is the next to listen on its port, for so long."""
import os, signal, socket, sys, time

pid, port, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
os.kill(pid, signal.SIGKILL)
until = time.monotonic() + 5
while time.monotonic() < until:
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        break
    except OSError:
        pass
time.sleep(seconds)
