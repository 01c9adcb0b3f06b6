#!/usr/bin/env python3
"""What a gateway weighs: memory, descriptors and processor time of `kithara-file serve`, for docs/FLEET.md.

usage: scripts/gateway.py PROGRAM
"""
import os, re, socket, subprocess, sys, tempfile, time

SIZE = 256 << 20
IDLE = 240  # below the 256 connections that `serve` keeps
STALLED = 100


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        media = os.path.join(folder, "big.bin")
        with open(media, "wb") as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
        server = subprocess.Popen([program, "serve", media], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            address = next(m for line in server.stdout if (m := re.search(r"http://127.0.0.1:(\d+)(/\S*)", line)))
            measure(server.pid, int(address[1]), address[2])
        finally:
            server.terminate()


def measure(pid, port, path):
    def connect():
        return socket.create_connection(("127.0.0.1", port))

    def ask(client, headers=""):
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n".encode())

    def get(client, start, end):
        ask(client, f"Range: bytes={start}-{end - 1}\r\n")
        came = b""
        while b"\r\n\r\n" not in came:
            came += client.recv(65536)
        head, body = came.split(b"\r\n\r\n", 1)
        assert b" 206 " in head.split(b"\r\n")[0] + b" ", head
        left = end - start - len(body)
        while left:
            left -= len(client.recv(min(left, 1 << 20)))

    clients = [connect()]
    get(clients[0], 0, 1000)
    one = weigh(pid)
    print(f"one client: {one}")
    for number in range(1, IDLE):
        clients.append(connect())
        get(clients[-1], number * 1000, number * 1000 + 1000)
    idle = weigh(pid)
    print(f"{IDLE} idle clients: {idle}; {(idle['kib'] - one['kib']) / (IDLE - 1):.1f} KiB each")
    for _ in range(4):
        get(clients[-1], 0, SIZE)
    whole = weigh(pid)
    print(f"{whole['cpu'] - idle['cpu']:.2f} s of processor a GiB")
    for client in clients[:STALLED]:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        ask(client)
    for client in clients[:STALLED]:
        client.recv(1000)
    time.sleep(2)
    stalled = weigh(pid)
    print(f"{STALLED} stalled bodies: {stalled}; {(stalled['kib'] - whole['kib']) / STALLED:.0f} KiB each")
    before = weigh(pid)["cpu"]
    for number in range(4000):
        client = connect()
        get(client, number * 1000, number * 1000 + 1000)
        client.close()
    print(f"{(weigh(pid)['cpu'] - before) / 4:.3f} ms of processor a connection with one small answer")


def weigh(pid):
    with open(f"/proc/{pid}/status") as file:
        kib = int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return {"kib": kib, "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "cpu": cpu}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
