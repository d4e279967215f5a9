"""A PostgreSQL 15 cluster of our own: made, started and stopped by a user that is not root."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

BINARIES = Path("/usr/lib/postgresql/15/bin")
OWNER, OWNER_PASSWORD = "tryton", "tryton"
READER, READER_PASSWORD = "pannier", "pannier"
PUBLICATION = "pannier"
# What an adapter reads; a table that is not published never shows in its stream.
PUBLISHED = ("product_template", "product_product", "product_list_price", "product_uom", "party_party",
             "party_address", "party_party_sale_price_list", "stock_location", "stock_move",
             "stock_shipment_out", "sale_sale", "sale_line", "purchase_purchase", "purchase_line",
             "product_price_list", "product_price_list_line", "product_price_list_cache")
START_SECONDS = 60
Server = namedtuple("Server", "pid port")


def install():
    if not (BINARIES / "postgres").exists():
        install_packages("postgresql-15")


def install_packages(*names):
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-qy", *names]):
        subprocess.run(command, check=True, stdout=sys.stderr, env=environment)


def unprivileged():
    """PostgreSQL refuses to run as root, so root hands over to the account that its package made."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)


def own(folder):
    identity = unprivileged()
    if identity:
        closed = [path for path in folder.parents if not path.stat().st_mode & 0o001]
        if closed:
            raise SystemExit(f"PostgreSQL does not run as root and cannot enter {closed[0]}; chmod a+x it, "
                             "or give a folder that everyone may enter")
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, identity["user"], identity["group"])
    folder.chmod(0o700)


def create(data):
    install()
    data.mkdir()
    own(data)
    secret = data.parent / "secret"
    secret.write_text(OWNER_PASSWORD)
    secret.chmod(0o644)
    subprocess.run([BINARIES / "initdb", "--pgdata", data, "--username", OWNER, "--pwfile", secret,
                    "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"],
                   check=True, stdout=sys.stderr, cwd="/", **unprivileged())
    with open(data / "postgresql.conf", "a") as settings:
        settings.write("wal_level = logical\nmax_replication_slots = 16\nmax_wal_senders = 16\n"
                       "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
                       "timezone = 'UTC'\nshared_buffers = 64MB\nmax_connections = 60\n")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


def start(data, log, quick=False):
    """Starts the cluster; `quick` gives up safety against a crash, which a build does not need."""
    install()
    port = free_port()
    options = ["-c", "fsync=off", "-c", "full_page_writes=off"] if quick else []
    with open(log, "ab") as out:
        process = subprocess.Popen([BINARIES / "postgres", "-D", data, "-p", str(port), *options], stdout=out,
                                   stderr=out, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True,
                                   **unprivileged())
    deadline = time.monotonic() + START_SECONDS
    ready = [BINARIES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise SystemExit(f"PostgreSQL did not start; read {log}")
        time.sleep(0.05)
    return Server(process.pid, port)


def stop(server):
    stop_process(server.pid, signal.SIGINT)  # ends the sessions and writes a checkpoint


def stop_process(pid, end, seconds=30):
    """Ends one process and waits for it; one that does not heed the signal in time is killed."""
    deadline = time.monotonic() + seconds
    try:
        os.kill(pid, end)
        while alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
    except ProcessLookupError:
        pass


def alive(pid):
    try:
        os.waitpid(pid, os.WNOHANG)  # our own child stays a zombie until we ask for it
    except ChildProcessError:
        pass
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def uri(server, user=OWNER, password=OWNER_PASSWORD):
    return f"postgresql://{user}:{password}@127.0.0.1:{server.port}"


def sql(server, database, statement):
    subprocess.run([BINARIES / "psql", "-q", "-v", "ON_ERROR_STOP=1", f"{uri(server)}/{database}",
                    "-c", statement], check=True, stdout=sys.stderr)


def allow_replication(server, database):
    """A role that may read and replicate but not write, and the publication: an operator's two statements."""
    sql(server, database, f"CREATE ROLE {READER} LOGIN REPLICATION PASSWORD '{READER_PASSWORD}'")
    sql(server, database, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
    sql(server, database, f"CREATE PUBLICATION {PUBLICATION} FOR TABLE {', '.join(PUBLISHED)}")
