"""A publisher written from protocol/WIRE.md alone, with nats-py and the standard library.

    python publisher.py --url nats://127.0.0.1:4222 [--prefix pna.v1] [--stage first|restart]

Stage `first` publishes a small catalog (JSON) and stock (MessagePack): claims, plain changes, a unit, ticks.
Stage `restart` is the same publisher after a crash: it claims again, sends snapshots of everything it has,
with one item less and one price changed, and ticks. Each prints one JSON line: the last sequence of every subject, and
what a lookup may ask for as `at_least`.
"""

import argparse
import asyncio
import hashlib
import json
import re
import struct
import sys
import uuid
from datetime import datetime, timezone
from decimal import Decimal
from zlib import crc32

import nats
from nats.js.errors import APIError, NotFoundError

# ---- Values: WIRE.md, Values. Decimals are decimal.Decimal, instants are datetime, the rest is plain. ----


def json_value(value):
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, dict):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    return value


def to_json(value):
    return json.dumps(json_value(value), ensure_ascii=False, separators=(",", ":")).encode()


def pack_int(number):
    if 0 <= number < 0x80:
        return struct.pack("B", number)
    if -0x20 <= number < 0:
        return struct.pack("b", number)
    widths = "BHIQ" if number >= 0 else "bhiq"
    first = 0xCC if number >= 0 else 0xD0
    for width, letter in enumerate(widths):
        try:
            return struct.pack(">B" + letter, first + width, number)
        except struct.error:
            continue
    raise OverflowError(number)


def pack_head(length, short, short_max, wide):
    """The head of a text, array or map: `wide` are the markers for lengths of 1, 2 and 4 bytes."""
    if length <= short_max:
        return struct.pack("B", short | length)
    for marker, letter, most in zip(wide, "BHI", (0xFF, 0xFFFF, 0xFFFFFFFF)):
        if marker and length <= most:
            return struct.pack(">B" + letter, marker, length)
    raise OverflowError(length)


def to_msgpack(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return pack_int(value)
    if isinstance(value, Decimal):
        millionths = value * 1_000_000
        assert millionths == millionths.to_integral_value(), f"{value} has more than 6 digits"
        return pack_int(int(millionths))
    if isinstance(value, datetime):
        since = value - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return pack_int((since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000)
    if isinstance(value, str):
        text = value.encode()
        return pack_head(len(text), 0xA0, 31, (0xD9, 0xDA, 0xDB)) + text
    if isinstance(value, (list, tuple)):
        return pack_head(len(value), 0x90, 15, (None, 0xDC, 0xDD)) + b"".join(map(to_msgpack, value))
    if isinstance(value, dict):
        pairs = b"".join(to_msgpack(key) + to_msgpack(item) for key, item in value.items())
        return pack_head(len(value), 0x80, 15, (None, 0xDE, 0xDF)) + pairs
    raise TypeError(type(value))


def partition(root):
    """WIRE.md, Partitions."""
    return f"{crc32(root.encode()) % 64:02}"


# ---- One writer of one subject: WIRE.md, Writers. ----


class Fenced(Exception):
    """Another writer took the subject over."""


class Lost(Exception):
    """The broker lost what it had acknowledged: claim again and send a snapshot."""


class Chain:
    def __init__(self, js, prefix, stream, subject, source, incarnation, encode, content_type):
        self.js, self.stream, self.source, self.incarnation = js, stream, source, incarnation
        self.subject, self.full = subject, f"{prefix}.{subject}"
        self.encode = encode
        self.headers = {"Content-Type": content_type}
        self.claimed, self.sequence, self.last, self.new = 0, 0, 0, True

    async def last_message(self):
        try:
            return await self.js.get_msg(self.stream, subject=self.full, direct=False)
        except NotFoundError:
            return None

    async def claim(self, instance):
        message = await self.last_message()
        self.last = message.seq if message else 0
        self.new = message is None
        envelope = self.envelope(0, None, 0, [{"claim": {"instance": instance}}])
        self.claimed = self.last = await self.put(self.encode(envelope))
        self.sequence = 0

    def epoch(self):
        return {"incarnation": self.incarnation, "claim": self.claimed}

    def point(self):
        return {"subject": self.subject, "epoch": self.epoch(), "sequence": self.sequence}

    def envelope(self, sequence, epoch, position, changes):
        fields = {"version": 1, "source": self.source, "epoch": epoch, "sequence": sequence, "position": position}
        if epoch is None:
            del fields["epoch"]
        return fields | {"sent_at": datetime.now(timezone.utc), "changes": changes}

    async def publish(self, position, *changes):
        """One message; its payload is returned for the hash of a unit or snapshot."""
        payload = self.encode(self.envelope(self.sequence + 1, self.epoch(), position, list(changes)))
        self.last = await self.put(payload)
        self.sequence += 1
        return payload

    async def put(self, payload):
        mine = uuid.uuid4().hex
        headers = self.headers | {"Nats-Expected-Last-Subject-Sequence": str(self.last), "Nats-Msg-Id": mine}
        while True:
            try:
                return (await self.js.publish(self.full, payload, headers=headers, timeout=5)).seq
            except (nats.errors.TimeoutError, nats.errors.ConnectionClosedError):
                pass
            except nats.js.errors.NoStreamResponseError:
                await asyncio.sleep(0.2)
                continue
            except APIError as error:
                if error.err_code not in (10071, 10077, 10158, 10164, 10167):
                    raise
                if error.err_code != 10071:
                    await asyncio.sleep(0.1)
            message = await self.last_message()
            stored = message.seq if message else 0
            if stored < self.last:
                raise Lost(self.full)
            if stored > self.last:
                if (message.headers or {}).get("Nats-Msg-Id") == mine:
                    return stored
                raise Fenced(self.full)

    async def bundle(self, position, begin, end, parts, count):
        """`begin`, a message a list of `parts`, and `end` with `count` and hash."""
        [(kind, fields)] = begin.items()
        identity, hashed = fields["id"], hashlib.sha256()
        await self.publish(position, {kind: fields})
        for rows in parts:
            hashed.update(await self.publish(position, {"part": {"of": identity}}, *rows))
        [(kind, field)] = end.items()
        await self.publish(position, {kind: {"id": identity, field: count, "hash": hashed.hexdigest()}})

    async def unit(self, position, identity, parts):
        count = sum(len(rows) for rows in parts)
        await self.bundle(position, {"unit_begin": {"id": identity}}, {"unit_commit": "count"}, parts, count)

    async def snapshot(self, position, identity, parts):
        rows = sum(len(c["prices"]["rows"]) if "prices" in c else 1 for rows in parts for c in rows)
        begin = {"snapshot_begin": {"id": identity, "scope": {"table": "all"}, "cut": position}}
        await self.bundle(position, begin, {"snapshot_end": "rows"}, parts, rows)


# ---- What this distributor has. ----

ROOT = "PY-1"
# The second stage has one item less: under 10% of the rows, so that no snapshot waits for approval.
ALL = [f"PY-{number:02}" for number in range(1, 13)]


def items(names):
    boxes = {"uom": "BX", "numerator": 10, "denominator": 1}
    return [{"item": {"item": name, "base_uom": "EA", "uoms": [boxes], "backorder": True}} for name in names]


def account():
    return {"account": {"account": ROOT, "root": ROOT, "currency": "USD", "warehouses": ["PYW"]}}


def list_prices(names):
    rows = [[name, None, None, None, 1, "fixed", None, [[Decimal(0), Decimal("2.5")]]] for name in names]
    return {"prices": {"scope": {"list": "LIST"}, "currency": "USD", "rows": rows}}


def contract(price):
    header = {"scope": {"scope": {"contract": "PY-K"}, "members": [{"account": ROOT}]}}
    row = ["PY-01", None, "EA", None, 1, "fixed", None, [[Decimal(0), Decimal(price)]]]
    return [header, {"prices": {"scope": {"contract": "PY-K"}, "currency": "USD", "rows": [row]}}]


def stock(names, on_hand):
    cell = {"warehouse": "PYW", "uom": "EA", "on_hand": Decimal(on_hand), "allocated": Decimal("0.5")}
    return [{"stock_set": {"item": name} | cell} for name in names]


async def incarnation_and_offset(js, stream):
    """And how far the broker's clock is before ours: WIRE.md, Ticks are told in broker time."""
    asked = datetime.now(timezone.utc)
    info = await js._api_request(f"{js._prefix}.STREAM.INFO.{stream}")
    answered = datetime.now(timezone.utc)
    # Nanoseconds are more than Python reads.
    told = re.sub(r"(\.\d{1,6})\d*", r"\1", info["ts"]).replace("Z", "+00:00")
    offset = datetime.fromisoformat(told) - (asked + (answered - asked) / 2)
    return info["config"]["metadata"]["pannier.incarnation"], offset


async def main(arguments):
    connection = await nats.connect(arguments.url)
    js = connection.jetstream(timeout=10)
    ledger, catalog = f"{arguments.streams}_LEDGER", f"{arguments.streams}_CATALOG"
    incarnation, offset = await incarnation_and_offset(js, ledger)

    def chain(stream, subject, source, encode, content_type):
        return Chain(js, arguments.prefix, stream, subject, source, incarnation, encode, content_type)

    shared = chain(catalog, "catalog.shared.py-erp", "py-erp", to_json, "application/json")
    family = chain(catalog, f"catalog.{partition(ROOT)}.py-erp", "py-erp", to_msgpack, "application/msgpack")
    cells = chain(ledger, "ledger.stock.py-wms", "py-wms", to_msgpack, "application/msgpack")
    started = datetime.now(timezone.utc)
    # The time of this export: later than that of the one before, so it never falls.
    position = int(started.timestamp() * 1000)
    for one in (shared, family, cells):
        await one.claim(f"python-{arguments.stage}")

    if arguments.stage == "first":
        await shared.publish(position, *items(ALL), account())
        await shared.publish(position, list_prices(ALL))
        await family.unit(position, "U-1", [contract("2.25")[:1], contract("2.25")[1:]])
        await cells.publish(position, *stock(ALL, "40.5"))
        await cells.publish(position, {"stock_adjust": {"item": "PY-01", "warehouse": "PYW", "uom": "EA", "on_hand": Decimal(-10)}})
    else:
        await shared.snapshot(position, "S-1", [[*items(ALL[:-1]), account()], [list_prices(ALL[:-1])]])
        await family.snapshot(position, "S-1", [contract("2.2")])
        await cells.snapshot(position, "S-1", [stock(ALL[:-1], "20.5")])

    caught_up_to = started + offset
    tick = {"caught_up_to": caught_up_to, "subjects": [shared.point(), family.point()]}
    await shared.publish(position, {"tick": tick})
    await cells.publish(position, {"tick": {"caught_up_to": caught_up_to, "subjects": [cells.point()]}})
    at_least = f"{incarnation}.L{cells.last}.S{shared.last}.P{family.last}"
    sequences = {one.subject: one.sequence for one in (shared, family, cells)}
    print(json.dumps({"at_least": at_least, "sequences": sequences}))
    await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--prefix", default="pna.v1")
    parser.add_argument("--streams", default="PNA", help="what the names of the streams begin with")
    parser.add_argument("--stage", choices=["first", "restart"], default="first")
    sys.exit(asyncio.run(main(parser.parse_args())))
