"""One directory, many processes and threads: spawned, forked in the middle of reading, under another event loop."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

from tests.support import attached_child, forking_reader
from tests.support.shared_line import VALUES, SharedLine, hide, put, remove
from trimtab.attached import attach
from trimtab.model import views
from trimtab.model.items import LeafEdit
from trimtab.model.resolution import ABSENT
from trimtab_sidecar.shared import Limits

PATH = attached_child.PATH
ROOT = Path(__file__).parents[2]


def test_a_process_that_is_spawned_with_a_reader_attaches_anew(place: Path, line: SharedLine) -> None:
    config = attach(place, {"bot": "mm"}, timeout=0)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=attached_child.read, args=(config, theirs))
    process.start()
    theirs.close()
    assert ours.recv() == (process.pid, 3, {"bot": "mm", "node": "n1", "mode": "paper"}, 1)
    line.edit(put(PATH, 4))
    line.resync()
    line.edit(put("token.t1.on", value=False))
    ours.send(None)
    value, told = ours.recv()
    assert (value, sorted(told)) == (4, [PATH, "token.t1.on"])
    process.join(30)
    assert (process.exitcode, config[PATH]) == (0, 4)


def test_a_bot_under_uvloop_hears_starts_processes_and_forks(place: Path, line: SharedLine) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.attached_child", str(place)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as bot:
        assert bot.stdout is not None
        for value, word in ((4, "attached"), (5, "heard")):
            assert json.loads(bot.stdout.readline()) == word
            line.edit(put(PATH, value))
        assert json.loads(bot.stdout.readline()) == "heard"
        told = json.loads(bot.stdout.readline())
    expected = {"loop": "uvloop", "heard": [4, 5], "started": "5", "threads": [5] * 8, "forked": "[5, 3]", "here": 5}
    assert (told, bot.returncode) == (expected, 0)


def test_forks_in_the_middle_of_reading_threads_read_on_in_both(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.forking_reader", str(place)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    last = forking_reader.FORKS
    assert json.loads(done.stdout) == {"children": [0] * last, "torn": [], "here": last}


def test_sixty_four_label_sets_see_what_the_model_sees_over_every_kind_of_change(place: Path) -> None:
    """Overlays of bots and of modes, tombstones, label changes; rotations in between."""
    edits: list[list[LeafEdit]] = [
        [put(f"fleet.bots.b{number}.labels.mode", "live" if number % 2 else "paper") for number in range(64)],
        [put(PATH, 100 + number, f"bot=b{number}") for number in range(0, 64, 3)],
        [put(PATH, 1, "mode=live"), put("risk.live", value=True, layer="mode=live"), hide("token", "mode=paper")],
        [put("risk.global.names", [number], f"bot=b{number}") for number in range(64)],
        [hide("risk.global", "bot=b7"), put("token.t2", {}, "bot=b8"), put("token.t1.on", value=False)],
        [put(f"fleet.bots.b{number}.labels.mode", "live") for number in range(0, 64, 4)],
        [remove(PATH, f"bot=b{number}") for number in range(0, 64, 3)],
        [remove("risk.global", "bot=b7"), put("token.t1.deep.er", "x"), remove("token", "mode=paper")],
    ]
    with SharedLine(place, VALUES, limits=Limits(paths=100, frames=3)) as line:
        configs = [attach(place, {"bot": f"b{number}"}, timeout=0) for number in range(64)]
        for change in edits:
            line.edit(*change)
            line.tidy()
            for config in configs:
                view = views.build(line.state, config.labels)
                for path in (PATH, "risk", "risk.live", "token", "token.t1", "token.t2", "risk.global.names", "none"):
                    assert views.same(config.get(path, ABSENT), view.index.peek(path)), (config.labels, path)
        assert {config.labels["mode"] for config in configs} == {"live", "paper"}
        assert {config.revision for config in configs} == {line.position.revision}
