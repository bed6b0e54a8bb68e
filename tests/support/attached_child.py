"""Bots in other processes: one that a parent spawns with its reader, and a program under uvloop."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from multiprocessing.connection import Connection

from trimtab import Attached, Changed, attach

PATH = "risk.global.max"


def read(config: Attached, pipe: Connection) -> None:
    """Say what is read at once, and again with the events when asked."""
    pipe.send((os.getpid(), config[PATH], dict(config.labels), config.revision))
    pipe.recv()
    pipe.send((config[PATH], [event.path for event in config.poll() if isinstance(event, Changed)]))


async def follow(place: str) -> dict[str, object]:
    """Read, hear of two changes, start a process and fork, all on one loop."""
    loop = type(asyncio.get_running_loop()).__module__
    config = attach(place, {"bot": "mm"}, timeout=0)
    changes = config.changes("risk.**")
    say("attached")
    heard: list[object] = []
    async for event in changes:
        assert isinstance(event, Changed)
        heard.append(event.new)
        say("heard")
        if len(heard) == 2:
            break
    program = f"from trimtab import attach; print(attach({place!r}, {{'bot': 'mm'}}, timeout=0)[{PATH!r}])"
    started = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    said, _ = await started.communicate()
    threads = await asyncio.gather(*(asyncio.to_thread(config.get, PATH) for _ in range(8)))
    found = {"loop": loop, "heard": heard, "started": said.decode().strip(), "threads": threads}
    return {**found, "forked": forked(config), "here": config[PATH]}


def forked(config: Attached) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps([config[PATH], config.revision]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def say(word: object) -> None:
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        say(runner.run(follow(sys.argv[1])))
