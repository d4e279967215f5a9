"""Starts and stops a copy of a cached database behind Tryton's own server, on free loopback ports."""
import json
import signal
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import build
import postgres
from company_key import API_KEY

ATTEMPTS = 3
START_SECONDS = 60


def start(backend, run):
    archive = build.cached(backend)
    if run.exists() and any(run.iterdir()):
        raise SystemExit(f"{run} is in use; stop it first: tests/erp/erp stop --run {run}")
    run.mkdir(parents=True, exist_ok=True)
    state = {"backend": backend, "database": build.DATABASE, "key": API_KEY}
    save(run, state)
    with tarfile.open(archive) as packed:
        # Our own archive; the owners in it matter, and newer Pythons drop them unless told.
        trusted = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
        packed.extractall(run, numeric_owner=True, **trusted)
    database = "sqlite://"
    if backend == "postgres":
        postgres.own(run / "data")
        server = postgres.start(run / "data", run / "postgres.log")
        database = postgres.uri(server)
        state |= {"postgres": {"host": "127.0.0.1", "port": server.port, "pid": server.pid,
                               "user": postgres.READER, "password": postgres.READER_PASSWORD,
                               "owner": postgres.OWNER, "owner_password": postgres.OWNER_PASSWORD,
                               "publication": postgres.PUBLICATION}}
        save(run, state)
    state["trytond"] = serve(run, database)
    state["url"] = f"http://127.0.0.1:{state['trytond']['port']}/{build.DATABASE}"
    return save(run, state)


def save(run, state):
    line = json.dumps(state)
    (run / "state.json").write_text(line + "\n")
    return line


def serve(run, database):
    """Tryton cannot tell which port it took, so a free one is looked up; who loses the race tries again."""
    for _ in range(ATTEMPTS):
        port = postgres.free_port()
        config = build.configuration(run / "trytond.conf", database, run / "data", f"127.0.0.1:{port}")
        with open(run / "trytond.log", "ab") as out:
            process = subprocess.Popen([build.python().parent / "trytond", "-c", config, "-v"], stdout=out,
                                       stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        if answers(process, port):
            return {"pid": process.pid, "port": port}
        postgres.stop_process(process.pid, signal.SIGTERM)
    stop(run)
    raise SystemExit(f"Tryton did not start; read {run}/trytond.log")


def answers(process, port):
    """The first request loads all modules, so waiting for one makes the next ones fast."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{build.DATABASE}/rest/model/product.uom?s=1",
                                     headers={"Authorization": f"bearer {API_KEY}"})
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as refused:
            print(f"Tryton answered {refused.code}: {refused.read()[:500]!r}", file=sys.stderr)
            return False
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    return False


def info(run):
    try:
        return (run / "state.json").read_text().strip()
    except FileNotFoundError:
        raise SystemExit(f"nothing runs in {run}; start it first") from None


def stop(run):
    """Only ends a process that still serves this folder: its number may have gone to another one."""
    state = json.loads(info(run))
    for name, end in (("trytond", signal.SIGTERM), ("postgres", signal.SIGINT)):
        pid = state.get(name, {}).get("pid")
        if pid and str(run) in command_line(pid):
            postgres.stop_process(pid, end)
    postgres.remove(run)
    return json.dumps({"stopped": str(run)})


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""
