"""The trouble that stores and downloads have, besides that of panel and host: each a spell, or something done once."""

import json
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

from daemon.sandbox.records import Server
from tests.simulation.scenario import DAY, HOUR
from tests.simulation.stores.before import FIRST
from tests.simulation.stores.bucket import Bucket, Stored
from tests.simulation.stores.rules import MANIFEST, read_manifest
from tests.simulation.stores.scenario import STORE_KEEPS
from tests.simulation.stores.wanted import KEY
from tests.simulation.trouble import NothingToDoError, Spell

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


def _spell(attribute: str, shortest: float, longest: float, *values: object) -> Spell:
    """A fault of one store for a while."""

    def act(sim: "Simulation", _: Server, rng: random.Random) -> None:
        trouble = sim.stores.troubles[rng.choice(sorted(sim.stores.troubles))]
        value = rng.choice(values) if values else True
        sim.disturbances.spell(trouble, attribute, value, rng.uniform(shortest, longest))
        sim.recorder.tell(f"{trouble.name}: {attribute} = {value}")

    return act


def _of_downloads(attribute: str) -> Spell:
    def act(sim: "Simulation", _: Server, rng: random.Random) -> None:
        sim.disturbances.spell(sim.stores, attribute, True, rng.uniform(60, 6 * HOUR))

    return act


def _picked(sim: "Simulation", server: Server, rng: random.Random) -> tuple[Bucket, str]:
    """A store, and the key of an object in it that is a server's."""
    bucket = sim.stores.buckets[rng.choice(sorted(sim.stores.buckets))]
    keys = sorted(key for key in bucket.objects if KEY.fullmatch(key) and server.uuid in key)
    if not keys:
        raise NothingToDoError
    return bucket, rng.choice(keys)


def lost(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """An object is there no more."""
    bucket, key = _picked(sim, server, rng)
    bucket.gone[key] = bucket.objects.pop(key)
    _touch(sim, bucket, key)
    sim.recorder.tell(f"{bucket.name} loses {key.rpartition('/')[2]}", server.uuid)


def damaged(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """An object is cut, or somebody writes something else into it."""
    bucket, key = _picked(sim, server, rng)
    was = bucket.objects[key]
    data = was.data[: len(was.data) // 2] if rng.random() < 0.5 else b"{}"
    bucket.objects[key] = Stored(data, was.sent, bucket.clock.now())
    _touch(sim, bucket, key)
    sim.recorder.tell(f"{bucket.name}: {key.rpartition('/')[2]} is damaged", server.uuid)


def _touch(sim: "Simulation", bucket: Bucket, key: str) -> None:
    touched = sim.stores.troubles[bucket.name].touched
    touched |= {key, key.removesuffix(MANIFEST)}


def foreign(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Somebody writes what is none of ours beside our copies, or another installation a copy of its own."""
    bucket, key = _picked(sim, server, rng)
    data = key.removesuffix(MANIFEST)
    if rng.random() < 0.5:
        others = [f"{data}.bak", f"main/{server.uuid}/notes.txt", f"main/{server.uuid}/Backup.tar.gz", "readme"]
        bucket.objects[rng.choice(others)] = Stored(b"x", b"x", bucket.clock.now())
        return
    manifest = bucket.objects.get(data + MANIFEST)
    if manifest is None or data not in bucket.objects or read_manifest(manifest.data) is None:
        raise NothingToDoError
    document = json.loads(manifest.data)
    other = f"{rng.randrange(16**8):08x}-0000-4000-8000-{rng.randrange(16**12):012x}"
    uuid, written = document["backup"]["uuid"], json.dumps(document).replace(document["installation"], "another")
    text = written.replace(uuid, other).encode()
    renamed = data.replace(uuid, other)
    bucket.objects[renamed] = bucket.objects[data]
    bucket.objects[renamed + MANIFEST] = Stored(text, text, bucket.clock.now())


def narrowed(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """What a store keeps is changed at a reload, mostly to less."""
    name = rng.choice(sorted(sim.stores.buckets))
    table = {**sim.configuration.stores[name], "keep": rng.choice(({"last": 1}, {"last": 2}, *STORE_KEEPS))}
    sim.configuration.change_store(name, table)
    sim.reload({}, f"what {name} keeps")


def first_changed(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """A policy asks for other copies before it deletes, or for none, as far as the stores take what there is."""
    policy = sim.configuration.policies[server.name]
    able = [one for one in (policy or {}).get("copies", ()) if sim.configuration.stores[one]["backfill"] == "all"]
    if policy is None or not able:
        raise NothingToDoError
    full = rng.choice(("refuse", "make-room"))
    changed = {FIRST: rng.choice(([], able, able[:1])), f"{FIRST}_when_full": full}
    sim.reload({server.name: {**policy, **changed}}, f"{FIRST} of {server.name}")


KINDS: Mapping[str, tuple[Spell, float, bool]] = {
    "store unreachable": (_spell("unreachable", 60, 4 * DAY), 3600, False),
    "store slow": (_spell("slow", 600, DAY, 2.0, 60.0, 900.0), 3600, False),
    "store full": (_spell("full", 600, 2 * DAY), 3600, False),
    "store answers errors": (_spell("flaky", 600, DAY), 3600, False),
    "store lies about what it stored": (_spell("lying", 600, DAY), 3600, False),
    "store lists late": (_spell("late", 600, DAY, 60.0, 3 * HOUR), 3600, False),
    "store refuses to delete": (_spell("refusing", 600, 2 * DAY), 3600, False),
    "store cuts its listing": (_spell("cutting", 600, DAY), 3600, False),
    "store loses an object": (lost, 3600, False),
    "store damages an object": (damaged, 3600, False),
    "somebody writes into a store": (foreign, 3600, False),
    "store narrowed": (narrowed, 3600, False),
    "other copies come first": (first_changed, 3600, True),
    "download breaks": (_of_downloads("breaking"), 3600, False),
    "download is another file": (_of_downloads("other_file"), 3600, False),
}
"""With the longest delay after a rotation's beginning, and whether it concerns that server alone."""
