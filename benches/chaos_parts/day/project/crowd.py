"""crowd.py PORT CONNECTIONS SECONDS: takes connections of PostgreSQL and holds them. https://www.postgresql.org/docs/current/protocol-flow.html"""
import socket, struct, sys, time

port, count, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
words = struct.pack("!i", 196608) + b"user\0watch\0database\0postgres\0\0"
held = []
for _ in range(count):
    try:
        server = socket.create_connection(("127.0.0.1", port), 1)
        server.sendall(struct.pack("!i", len(words) + 4) + words)
        held.append(server)
    except OSError:
        break
time.sleep(seconds)
