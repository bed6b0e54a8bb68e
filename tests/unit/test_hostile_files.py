"""Files that were written to harm: each is refused by name, rule and place, and soon."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import canonical
from trimtab_store.files import (
    FileRefused,
    load_env,
    load_json,
    load_toml,
    load_yaml,
    opened,
    read_tree,
    tree,
)
from trimtab_store.files.env_text import MAX_ENV_BYTES
from trimtab_store.files.hcl_text import MAX_HCL_BYTES, load_hcl
from trimtab_store.files.text import MAX_FILE_BYTES
from trimtab_store.files.toml_text import MAX_TOML_BYTES

READ: dict[str, Callable[..., object]] = {
    "yaml": load_yaml,
    "json": load_json,
    "toml": load_toml,
    "hcl": load_hcl,
    "env": load_env,
}
DIGITS = "1" * 100_000
# What stands in a file, and the rule that refuses it.
CORPUS: list[tuple[str, str, str | bytes, str]] = [
    # bombs, and what grows with the square of its length
    ("an alias", "yaml", "a: &a [1, 1]\nb: [*a, *a]\n", "anchor"),
    ("a merge key", "yaml", "a: {<<: {b: 1}}", "merge"),
    ("a tag", "yaml", "a: !!python/object/apply:os.system [true]", "tag"),
    ("brackets", "yaml", "a: " + "[" * 5_000, "depth"),
    ("mappings", "yaml", "a: " + "{a: " * 5_000, "depth"),
    ("brackets", "json", '{"a": ' + "[" * 100_000, "json"),
    ("mappings", "json", '{"a": ' * 100_000, "json"),
    ("brackets", "toml", "a = " + "[" * 100_000, "depth"),
    ("tables", "toml", "a = " + "{a = " * 100_000, "depth"),
    ("a dotted key", "toml", "a." * 50_000 + "a = 1", "depth"),
    ("a dotted key in quotes", "toml", '"a".' * 50_000 + "a = 1", "depth"),
    ("a dotted key with spaces", "toml", "a \t . " * 50_000 + "a = 1", "depth"),
    ("a dotted header", "toml", "[" + "a." * 50_000 + "a]", "depth"),
    ("a dotted header of tables", "toml", "[[" + "a." * 50_000 + "a]]", "depth"),
    ("a dotted key in a table", "toml", "a = { b = 1, " + "a." * 50_000 + "a = 1 }", "depth"),
    ("keys that add up", "toml", "[" + "a." * 30 + "a]\n" + "b." * 30 + "b = 1", "value"),
    ("brackets", "hcl", "a = " + "[" * 100_000, "depth"),
    ("objects", "hcl", "a = " + "{a = " * 20_000, "depth"),
    ("blocks", "hcl", "a {\n" * 20_000, "depth"),
    ("labels", "hcl", "a " + '"b" ' * 40 + "{\n}\n", "depth"),
    ("line ends in a heredoc", "hcl", "a = <<E\n" + "\n" * 100_000, "heredoc"),
    ("a heredoc behind a template with quotes", "hcl", 'a = "${f("}\nb = <<E\n' + "\n" * 100_000, "expression"),
    # numbers
    *[("many digits", kind, f"a{sign}{DIGITS}\n", "number") for kind, sign in (("yaml", ": "), ("toml", " = "))],
    ("many digits", "hcl", f"a = {DIGITS}\n", "number"),
    ("many digits", "json", f'{{"a": {DIGITS}}}', "json"),
    ("many decimals", "yaml", f"a: 0.{DIGITS}\n", "number"),
    ("many decimals", "toml", f"a = 0.{DIGITS}\n", "number"),
    ("many decimals", "hcl", f"a = 0.{DIGITS}\n", "number"),
    ("many hexadecimal digits", "toml", f"a = 0x{DIGITS}\n", "number"),
    ("a large exponent", "json", '{"a": 1e100000}', "json"),
    ("a large exponent", "toml", "a = 1e100000", "number"),
    ("a large exponent", "hcl", "a = 1e100000\n", "number"),
    ("infinity", "toml", "a = inf", "number"),
    ("no number", "toml", "a = [1, -nan]", "number"),
    # dates, which JSON does not have
    ("a date", "toml", "a = 1979-05-27", "date"),
    ("a time", "toml", "a = { b = 07:32:00 }", "date"),
    ("a moment", "toml", "a = [\n  1979-05-27T07:32:00Z,\n]", "date"),
    # the same key twice
    ("twice", "yaml", "a: 1\na: 2\n", "duplicate-key"),
    ("twice", "json", '{"a": 1, "a": 2}', "json"),
    ("twice", "toml", "a = 1\na = 2\n", "duplicate-key"),
    ("a table twice", "toml", "[a]\n[a]\n", "duplicate-key"),
    ("twice", "hcl", "a = 1\na = 2\n", "duplicate-key"),
    ("twice in an object", "hcl", "a = { b = 1, b = 2 }\n", "duplicate-key"),
    ("a block twice", "hcl", 'a "b" {\n}\na "b" {\n}\n', "duplicate-key"),
    ("a block and an attribute", "hcl", 'a = 1\na "b" {\n}\n', "duplicate-key"),
    ("twice", "env", "A=1\nexport A=2\n", "duplicate-key"),
    # what HCL can do and a value cannot
    ("a function", "hcl", 'a = file("/etc/passwd")\n', "expression"),
    ("a reference", "hcl", "a = var.secret\n", "expression"),
    ("arithmetic", "hcl", "a = 1 - 2\n", "expression"),
    ("a condition", "hcl", "a = true ? 1 : 2\n", "expression"),
    ("an index", "hcl", "a = [1][0]\n", "expression"),
    ("a loop", "hcl", "a = [for x in y : x]\n", "expression"),
    ("a template", "hcl", 'a = "${upper(x)}"\n', "expression"),
    ("a directive", "hcl", 'a = "%{ if true }x%{ endif }"\n', "expression"),
    ("a negated name", "hcl", "a = -b\n", "expression"),
    ("a key that is an expression", "hcl", "a = { (b) = 1 }\n", "expression"),
    ("a string that does not end", "hcl", 'a = "b\nc"\n', "syntax"),
    ("an unknown escape", "hcl", 'a = "\\q"\n', "escape"),
    ("half a pair", "hcl", 'a = "\\ud800"\n', "escape"),
    # encodings and characters
    *[("UTF-16", kind, "a = 1".encode("utf-16"), "encoding") for kind in READ],
    *[("no UTF-8", kind, b"a = \xff", "encoding") for kind in ("yaml", "toml", "hcl", "env")],
    ("no UTF-8", "json", b'{"a": "\xff"}', "json"),
    *[("NUL", kind, "a = \0", "nul") for kind in ("yaml", "toml", "hcl", "env")],
    ("NUL", "json", '{"a": "\0"}', "json"),
    ("an escaped NUL", "toml", 'a = "\\u0000"', "value"),
    ("a tab", "yaml", "a:\n\tb: 1\n", "tab"),
    # size
    ("size", "yaml", "#" * (MAX_FILE_BYTES + 1), "size"),
    ("size", "json", " " * (MAX_FILE_BYTES + 1), "size"),
    ("size", "toml", "#" * (MAX_TOML_BYTES + 1), "size"),
    ("size", "hcl", "#" * (MAX_HCL_BYTES + 1), "size"),
    ("size", "env", "#" * (MAX_ENV_BYTES + 1), "size"),
    ("assignments", "env", "".join(f"A{n}=1\n" for n in range(10_001)), "size"),
    # .env
    ("no assignment", "env", "A\n", "syntax"),
    ("a quote that does not close", "env", "A='b\n", "quote"),
    ("something after a quote", "env", 'A="b" c\n', "quote"),
    ("an unknown escape", "env", 'A="\\q"\n', "escape"),
]


@pytest.mark.parametrize(
    ("kind", "text", "rule"), [one[1:] for one in CORPUS], ids=[f"{one[1]}-{one[0]}" for one in CORPUS]
)
def test_a_hostile_file_is_refused_soon_and_by_its_rule(kind: str, text: str | bytes, rule: str) -> None:
    begin = time.process_time()
    with pytest.raises(FileRefused) as caught:
        READ[kind](text.encode() if isinstance(text, str) else text, name="hostile")
    assert (caught.value.name, caught.value.rule) == ("hostile", rule)
    assert len(str(caught.value)) < 500
    assert time.process_time() - begin < 10  # seconds; what it guards against takes minutes


@pytest.mark.parametrize("kind", ["yaml", "toml", "hcl", "env"])
def test_a_refusal_names_line_and_column(kind: str) -> None:
    text = {"yaml": "a: 1\nb: *c", "toml": "a = 1\nb = 07:30:00", "hcl": "a = 1\nb = c", "env": 'A=1\nB ="'}[kind]
    with pytest.raises(FileRefused) as caught:
        READ[kind](text.encode(), name="x")
    assert (caught.value.line, caught.value.column) == (2, 4 if kind in {"yaml", "env"} else 5)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("yaml", "a: 1\nb: x\n"),
        ("json", '{"a": 1,\n"b": "x"}\n'),
        ("toml", 'a = 1\nb = "x"\n'),
        ("hcl", 'a = 1\nb = "x"\n'),
    ],
)
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(kind: str, text: str) -> None:
    assert READ[kind](b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), name="x") == {"a": 1, "b": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a = 1_000\nb = -1.5e3\nc = "on"\nd = true\n', {"a": 1000, "b": -1500.0, "c": "on", "d": True}),
        ("[a.b]\nc = 0x1F\n[[a.d]]\ne = 1\n[[a.d]]\n", {"a": {"b": {"c": 31}, "d": [{"e": 1}, {}]}}),
        ('a = [\n  1, # 1979-05-27\n  { b = ["inf"] },\n]\n', {"a": [1, {"b": ["inf"]}]}),
        ("1979-05-27 = 'x'\ninf = 1\n", {"1979-05-27": "x", "inf": 1}),
        ('a = """x""""\nb = \'\'\'\n[[[[\'\'\'\n', {"a": 'x"', "b": "[[[["}),
    ],
)
def test_toml_is_read_as_written(text: str, expected: object) -> None:
    assert load_toml(text, name="x") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('risk "global" {\n  max_leverage = 3.0 # x\n}\n', {"risk": {"global": {"max_leverage": 3.0}}}),
        ('risk "a" {\n  x = 1\n}\nrisk "b" {}\nrisk {\n  c = -1\n}\n', {"risk": {"a": {"x": 1}, "b": {}, "c": -1}}),
        ('a = [1, null, {b = true, "c" : 2},]\n', {"a": [1, None, {"b": True, "c": 2}]}),
        ('a = "${X} $${Y} %%{z} \\u00e9\\n"\n', {"a": "${X} $${Y} %{z} é\n"}),
        ('for = 1\na = { in = "h", for = 2 }\n', {"for": 1, "a": {"in": "h", "for": 2}}),
        ("# nothing\n// at /* all */\n", {}),
    ],
)
def test_hcl_is_read_as_literals(text: str, expected: object) -> None:
    assert load_hcl(text, name="x") == expected


def test_a_file_of_variables_is_read_line_by_line() -> None:
    text = "# c\n\nA=1\nexport B = \"a\\n\\${X} ${Y}\" # c\nC='${X} # \\n'\r\nD=a b # c\nE=a#b\nF=\n"
    found = {one.name: (one.text, one.line) for one in load_env(text, name="x")}
    assert found == {
        "A": ("1", 3),
        "B": ("a\n$${X} ${Y}", 4),
        "C": ("$${X} # \\n", 5),
        "D": ("a b", 6),
        "E": ("a#b", 7),
        "F": ("", 8),
    }


def test_an_assignment_keeps_its_text_out_of_what_is_printed() -> None:
    (found,) = load_env("TOKEN=hunter2", name="x")
    assert "hunter2" not in repr(found)


@given(st.text(max_size=300) | st.text("[]{}=,.\"'\\\n #:-$ab1<(", max_size=60))
def test_any_text_is_read_or_refused_and_never_breaks(text: str) -> None:
    for load in (load_toml, load_hcl):
        try:
            canonical.encode(load(text, name="x"))
        except FileRefused as error:
            assert error.rule  # noqa: PT017 - either outcome will do, any other error will not
    try:
        load_env(text, name="x")
    except FileRefused as error:
        assert error.rule  # noqa: PT017 - the same


# Trees


def planted(directory: Path) -> Path:
    (directory / "base").mkdir(parents=True)
    (directory / "base" / "risk.yaml").write_text("risk: {global: {max_leverage: 3.0}}\n")
    return directory


@pytest.mark.parametrize("target", ["/etc/hostname", "../../outside.yaml", "gone.yaml", "mev.yaml"])
def test_a_link_that_leads_out_or_nowhere_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside.yaml").write_text("mev: {a: 1}\n")
    directory = planted(tmp_path / "tree")
    (directory / "base" / "mev.yaml").symlink_to(target)
    with pytest.raises(FileRefused) as caught:
        read_tree(directory)
    assert caught.value.rule in {"link", "unknown-file"}
    assert "mev.yaml" in str(caught.value)


def test_a_directory_that_is_a_link_out_of_the_tree_is_refused(tmp_path: Path) -> None:
    elsewhere = planted(tmp_path / "elsewhere")
    directory = planted(tmp_path / "tree")
    (directory / "staging").symlink_to(elsewhere / "base")
    with pytest.raises(FileRefused, match="leads out of the tree"):
        read_tree(directory)


def test_links_within_the_tree_are_followed_as_kubernetes_makes_them(tmp_path: Path) -> None:
    directory = planted(tmp_path / "tree")
    version = directory / "base" / "..2026_01_01"
    version.mkdir()
    (version / "mev.json").write_text('{"mev": {"a": 1}}')
    (directory / "base" / "..data").symlink_to("..2026_01_01")
    (directory / "base" / "mev.json").symlink_to("..data/mev.json")
    (tmp_path / "link").symlink_to(directory)
    (base,) = read_tree(tmp_path / "link").environments
    assert base.layers[""].values["mev"] == {"a": 1}


def test_a_directory_with_the_name_of_a_file_and_a_pipe_are_refused(tmp_path: Path) -> None:
    directory = planted(tmp_path)
    for make in (Path.mkdir, os.mkfifo):
        odd = directory / "base" / "mev.toml"
        make(odd)
        with pytest.raises(FileRefused, match="not a regular file"):
            read_tree(directory)
        odd.rmdir() if odd.is_dir() else odd.unlink()


def test_a_file_that_is_written_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\n")
    seen: list[os.stat_result] = []
    real = os.fstat

    def changing(descriptor: int) -> os.stat_result:
        seen.append(real(descriptor))
        if len(seen) == 1:  # between the look and the read
            file.write_text("a: 1\nb: 2\n")
        return seen[-1]

    monkeypatch.setattr(os, "fstat", changing)
    assert opened.read_file(file, tmp_path) == b"a: 1\nb: 2\n"
    assert len(seen) == 4


def test_a_file_that_never_rests_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\n")
    real, times = os.fstat, iter(range(10**9, 2 * 10**9))

    def changing(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        os.utime(file, (0, next(times)))  # as long as before: only its time tells that somebody writes
        return found

    monkeypatch.setattr(os, "fstat", changing)
    with pytest.raises(FileRefused, match="changing"):
        opened.read_file(file, tmp_path)


def test_a_tree_is_read_as_it_was_at_one_moment(tmp_path: Path) -> None:
    directory = planted(tmp_path)
    (directory / "base" / "mev.yaml").write_text("mev: {version: 1}\n")
    (directory / "base" / "risk.yaml").write_text("risk: {version: 1}\n")
    told: list[str] = []

    def swap(file: Path) -> None:
        """Both files move on together, after the first of them was read."""
        told.append(file.name)
        if len(told) == 1:
            for name in ("mev", "risk"):
                new = directory / f".{name}.new"
                new.write_text(f"{name}: {{version: 2}}\n")
                new.rename(directory / "base" / f"{name}.yaml")

    (base,) = read_tree(directory, on_file=swap).environments
    assert base.layers[""].values == {"mev": {"version": 2}, "risk": {"version": 2}}


def test_a_tree_that_never_rests_is_refused(tmp_path: Path) -> None:
    directory = planted(tmp_path)
    count = 0

    def change(_: Path) -> None:
        nonlocal count
        count += 1
        (directory / "base" / "risk.yaml").write_text("risk: {a: 1}\n" + "#" * count)

    with pytest.raises(FileRefused, match="changing"):
        read_tree(directory, on_file=change)


def test_the_state_of_a_directory_is_told_apart_from_every_other(tmp_path: Path) -> None:
    directory = planted(tmp_path)
    states = {tree.fingerprint(directory)}
    (directory / "base" / "mev.yaml").write_text("mev: {a: 1}")
    states.add(tree.fingerprint(directory))
    (directory / "base" / "mev.yaml").unlink()
    (directory / "base" / "mev.yaml").symlink_to("nowhere")
    states.add(tree.fingerprint(directory))
    assert len(states) == 3


def test_reading_does_not_wait_for_a_pipe_that_takes_the_place_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\n")
    real = opened.inside

    def swapped(found: Path, root: Path) -> Path:
        seen = real(found, root)
        file.unlink()
        os.mkfifo(file)
        return seen

    monkeypatch.setattr(opened, "inside", swapped)
    done = threading.Event()

    def read() -> None:
        with pytest.raises(FileRefused, match="not a regular file"):
            opened.read_file(file, tmp_path)
        done.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert done.wait(20)
    reader.join()
