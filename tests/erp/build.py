"""Makes the databases of the test ERP and keeps them under target/erp, keyed by everything that made them."""
import datetime
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from contextlib import contextmanager
from pathlib import Path

import postgres

HERE = Path(__file__).resolve().parent
HOME = (HERE.parent.parent / "target" / "erp").resolve()
BACKENDS = ("sqlite", "postgres")
DATABASE = "erp"
MODULES = ("sale", "sale_price_list", "purchase", "stock_supply", "product_price_list_dates",
           "product_price_list_cache")
# Only on loopback, only in a throw-away database: nothing is protected by these.
ADMIN_PASSWORD = "admin-of-the-test-erp"


def key():
    digest = hashlib.sha256(sys.version.encode())
    for name in ("requirements.txt", "build.py", "postgres.py", "company.py", "company_key.py", "catalog.py"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def locked(name):
    """Two tests that start at once must not both build."""
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / f"{name}.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def python():
    """The interpreter of the environment that holds exactly requirements.txt."""
    wanted = (HERE / "requirements.txt").read_text()
    folder = HOME / ("venv-" + hashlib.sha256((sys.version + wanted).encode()).hexdigest()[:16])
    with locked("venv"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            if importlib.util.find_spec("ensurepip") is None:
                postgres.install_packages("python3-venv")
            venv.create(folder, with_pip=True)
            run([folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                 "--requirement", HERE / "requirements.txt"])
            (folder / "complete").touch()
    return folder / "bin" / "python"


def run(command, **options):
    """Runs a step of the build; what it says goes to stderr, because stdout is for the caller's JSON."""
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, **options)


def configuration(path, uri, folder, listen="127.0.0.1:0"):
    path.write_text(f"[database]\nuri = {uri}\npath = {folder}\n[web]\nlisten = {listen}\nroot =\n"
                    "[session]\ntimeout = 86400\nmax_age = 86400\n")
    return path


def fill(config, scratch):
    password = scratch / "password"
    password.write_text(ADMIN_PASSWORD)
    environment = os.environ | {"TRYTONPASSFILE": str(password)}
    admin = [python().parent / "trytond-admin", "-c", config, "-d", DATABASE, "--email", "admin@erp.test"]
    run(admin + ["--all", "--password"], env=environment)
    run(admin + ["--activate-dependencies", "--update", *MODULES], env=environment)
    run([python(), HERE / "company.py", config, DATABASE])


def make_sqlite(scratch):
    data = scratch / "data"
    data.mkdir()
    (data / f"{DATABASE}.sqlite").touch()
    fill(configuration(scratch / "trytond.conf", "sqlite://", data), scratch)


def make_postgres(scratch):
    data = scratch / "data"
    postgres.create(data)
    server = postgres.start(data, scratch / "postgres.log", quick=True)
    try:
        postgres.sql(server, "postgres", f"CREATE DATABASE {DATABASE}")
        fill(configuration(scratch / "trytond.conf", postgres.uri(server), data), scratch)
        postgres.allow_replication(server, DATABASE)
    finally:
        postgres.stop(server)


def cached(backend):
    """The archive with the filled database, made when it is not there.

    Tryton caches prices for today and tomorrow, so an archive serves for the day on which it was made.
    """
    today = datetime.datetime.now(datetime.timezone.utc).date()
    archive = HOME / f"{backend}-{today}-{key()}.tar"
    with locked(backend):
        for old in set(HOME.glob(f"{backend}-*.tar")) - set(HOME.glob(f"{backend}-{today}-*.tar")):
            old.unlink()
        if archive.exists():
            return archive
        scratch = HOME / f"build-{backend}"
        postgres.remove(scratch)
        scratch.mkdir()
        {"sqlite": make_sqlite, "postgres": make_postgres}[backend](scratch)
        part = archive.with_suffix(".part")
        with tarfile.open(part, "w") as out:
            out.add(scratch / "data", "data")
        part.rename(archive)
        postgres.remove(scratch)
    return archive
