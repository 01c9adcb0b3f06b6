"""What stands around the browser: media made by ffmpeg, nginx, the program. All of it ends with its `with`."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

from browser import Failure, fetched, until

# An origin on loopback whose answers come no faster than a line of 16 Mbit/s.
NGINX = """{user}
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.err;
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; tcp_nodelay on; root {dir}/www;
    client_body_temp_path {dir}/tmp; proxy_temp_path {dir}/tmp; fastcgi_temp_path {dir}/tmp;
    uwsgi_temp_path {dir}/tmp; scgi_temp_path {dir}/tmp;
    types {{ video/mp4 mp4; audio/wav wav; }}
    server {{ listen 127.0.0.1:{port}; limit_rate 2m; }}
}}
"""


def step(text):
    print(f"\n== {text}", flush=True)


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def ends_well():
    """A signal ends the run as an error does: what was started is taken down."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def run(main):
    """Runs a script: what fails is told in a line, and with the exit code."""
    ends_well()
    try:
        main()
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        sys.exit(1)


@contextlib.contextmanager
def process(command, log):
    """A process whose output goes to `log`; told to end, and waited for, when its `with` ends."""
    with open(log, "wb") as file:
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def text_of(log):
    with open(log, encoding="utf-8", errors="replace") as file:
        return file.read()


@contextlib.contextmanager
def program(command, log, address=r"http://\S+"):
    """`kithara-file` in a mode that serves; gives the page's address once it is said."""
    with process(command, log) as child:
        def said():
            if child.poll() is not None:
                raise Failure(f"{' '.join(command)} ended:\n{text_of(log)}")
            return re.search(address, text_of(log))
        found = until(said, f"an address from {' '.join(command)}")[0]
        yield re.match(r"http://[^/]+/", found)[0]
    # The demo says so when it is interrupted before its report is out.
    if child.returncode not in (0, 130):
        raise Failure(f"{' '.join(command)} ended with {child.returncode}:\n{text_of(log)}")


@contextlib.contextmanager
def nginx(folder):
    """nginx over `folder`/www; gives its address."""
    os.makedirs(f"{folder}/tmp", exist_ok=True)
    port, config = free_port(), f"{folder}/nginx.conf"
    user = "user root;" if os.getuid() == 0 else ""
    with open(config, "w", encoding="utf-8") as file:
        file.write(NGINX.format(dir=folder, port=port, user=user))
    with process(["nginx", "-c", config, "-p", folder, "-e", f"{folder}/nginx.err"], f"{folder}/nginx.log"):
        def answers():
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port), timeout=1).close() is None
        until(answers, "nginx answers")
        yield f"http://127.0.0.1:{port}"


# ---- a real-TCP link -----------------------------------------------------------------------------------------------

CLIENT, SERVER, ORIGIN = "kf-browser-cli", "kf-browser-srv", "http://10.77.0.1:8080"


@contextlib.contextmanager
def link(folder, rtt_ms, down_mbit, up_mbit, queue_kib):
    """The link of benches/link, nginx over `folder`/www at its far end, this program's children at the near one."""
    tools = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../benches/link")
    names = {**os.environ, "CLI_NS": CLIENT, "SRV_NS": SERVER, "CC": "cubic"}
    figures = [str(figure) for figure in (rtt_ms, down_mbit, up_mbit, queue_kib)]
    try:
        subprocess.run([f"{tools}/up.sh", folder, *figures], env=names, check=True)
        yield
    finally:
        subprocess.run([f"{tools}/down.sh", folder], check=False)


def at_the_near_end(script, *arguments):
    """Runs a script of this folder, again, in the client's namespace."""
    command = ["ip", "netns", "exec", CLIENT, sys.executable, os.path.abspath(script), "--inside", *arguments]
    with subprocess.Popen(command) as child:
        try:
            code = child.wait()
        except BaseException:
            # A kill would leave behind what it has started.
            child.terminate()
            child.wait()
            raise
    if code != 0:
        raise Failure("see above")


def state_of(page, name):
    """What the server tells of a medium, from its own stream and not from the page."""
    with urllib.request.urlopen(f"{page}_/state", timeout=30) as stream:
        for line in stream:
            if line.startswith(b"data: "):
                media = json.loads(line[6:])["media"]
                return next(one for one in media if one["name"] == name)
    raise Failure("the state's stream ended")


def knobs_of(page):
    return fetched(f"{page}_/knobs")


# ---- media ---------------------------------------------------------------------------------------------------------

def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments], check=True)


def film(path, size, kbit, loops, source="testsrc2", moov_first=True, seconds=10):
    """A film with sound of `loops` times `seconds`, at a constant rate, a key frame every two seconds."""
    once = f"{path}.once.mp4"
    rate = f"{kbit}k"
    ffmpeg("-f", "lavfi", "-i", f"{source}=s={size}:r=24:d={seconds}" if source == "testsrc2" else source,
           "-f", "lavfi", "-i", f"sine=330:r=44100:d={seconds}", "-t", str(seconds),
           "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "48", "-b:v", rate, "-minrate", rate,
           "-maxrate", rate, "-bufsize", rate, "-x264-params", "nal-hrd=cbr:force-cfr=1", "-c:a", "aac", "-b:a", "96k", once)
    ffmpeg("-stream_loop", str(loops - 1), "-i", once, "-c", "copy", *(["-movflags", "+faststart"] if moov_first else []), path)
    os.remove(once)
