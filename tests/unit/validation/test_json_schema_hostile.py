"""Schemas and documents that mean harm: nothing is fetched, nothing takes long, nothing falls over."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from trimtab_store.validation.json_schema import compile_schema
from trimtab_store.validation.json_schema_cost import MAX_CHAIN, MAX_PATTERNS
from trimtab_store.validation.json_schema_faults import SchemaRefused
from trimtab_store.validation.json_schema_nodes import MAX_KEYWORDS

WITHIN = 5.0
"""Seconds that nothing here may come near; each takes well below one."""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that nobody may call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that were looked up, and addresses that were called, through Python."""
    seen: list[str] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        seen.append(str(arguments))
        raise OSError("nobody may call")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return seen


def fault(schema: dict[str, Any] | str) -> str:
    began = time.monotonic()
    with pytest.raises(SchemaRefused) as refused:
        compile_schema(schema if isinstance(schema, str) else json.dumps(schema))
    assert time.monotonic() - began < WITHIN
    return refused.value.faults[0].rule


def rules(schema: dict[str, Any], value: Any) -> list[str]:
    compiled = compile_schema(json.dumps(schema))
    began = time.monotonic()
    found = compiled.check(value, "a.b")
    assert time.monotonic() - began < WITHIN
    return [problem.rule for problem in found]


REMOTE: list[dict[str, Any]] = [
    {"$ref": "URL"},
    {"properties": {"a": {"items": {"$ref": "URL"}}}},
    {"$defs": {"unused": {"$ref": "URL"}}},
    {"$id": "URL", "$ref": "other.json"},
    {"$id": "URL", "$ref": "URL#/$defs/a", "$defs": {"a": {}}},
    {"properties": {"a": {"$id": "URL", "$ref": "#/b"}}},
    {"$schema": "URL"},
    {"$dynamicRef": "URL"},
    {"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "URL"}}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": {"$ref": "URL"}}},
    {"$ref": "//PLACE/x"},
    {"$vocabulary": {"URL": True}},
]


@pytest.mark.parametrize("scheme", ["http", "https", "ftp", "file", "HTTP"])
@pytest.mark.parametrize("shape", REMOTE)
def test_nothing_is_ever_fetched(
    shape: dict[str, Any], scheme: str, listener: socket.socket, lookups: list[str]
) -> None:
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    url = f"file://{__file__}" if scheme == "file" else f"{scheme}://{place}/schema.json"
    assert fault(json.dumps(shape).replace("URL", url).replace("PLACE", place)) in {"reference", "draft", "keyword"}
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert lookups == []


@pytest.mark.parametrize(
    "harmless", [{"const": {"$ref": "URL"}}, {"x-note": {"$ref": "URL"}}, {"$id": "URL"}, {"default": {"$ref": "URL"}}]
)
def test_an_address_that_is_only_data_is_not_called(
    harmless: dict[str, Any], listener: socket.socket, lookups: list[str]
) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
    compile_schema(json.dumps(harmless).replace("URL", url)).check({"a": 1}, "a.b")
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert lookups == []


def test_the_listener_sees_a_checker_that_is_not_held_back(listener: socket.socket) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.Draft202012Validator({"$ref": url}, http_options=jsonschema_rs.HttpOptions(timeout=0.2))
    taken, _ = listener.accept()
    taken.close()


FETCHING = """
import sys
from trimtab_store.validation.json_schema import compile_schema
from trimtab_store.validation.json_schema_faults import SchemaRefused
import jsonschema_rs, resource
compile_schema('{"type": "object"}')
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    compile_schema(sys.argv[1])
except SchemaRefused as refused:
    print(refused.faults[0].rule)
"""


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a", "file:///etc/passwd", "https://example.invalid/a"])
def test_a_reference_is_refused_where_no_socket_and_no_file_can_be_opened(url: str) -> None:
    """No descriptor is to be had: had native code tried to call or to open anything, the reason were another."""
    done = subprocess.run(
        [sys.executable, "-c", FETCHING, json.dumps({"$ref": url})], capture_output=True, text=True, check=True
    )
    assert done.stdout == "reference\n"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"^(?=.*\d).+$", "looks ahead or behind"),
        (r"(?!a)b", "looks ahead or behind"),
        (r"(?<=a)b", "looks ahead or behind"),
        (r"(a+)\1", "refers back to a group"),
        (r"(?<n>a)\k<n>", "refers back to a group"),
        (r"(((a{100}){100}){100})", "is no regular expression, or one too large"),
        (r"[01]*1[01]{2000}", "would take too much memory"),
        (r"\w{1000}", "would take too much memory"),
        (r"(", "is no regular expression"),
        ("a" * 1001, "is longer than 1000 characters"),
    ],
)
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_a_pattern_that_the_linear_engine_cannot_do_is_refused_with_the_reason(
    keyword: str, pattern: str, said: str
) -> None:
    with pytest.raises(SchemaRefused) as refused:
        compile_schema(json.dumps({keyword: pattern if keyword == "pattern" else {pattern: {}}}))
    assert refused.value.faults[0].rule == "pattern"
    assert said in refused.value.faults[0].why


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^(a+)+$", "a" * 60_000 + "!"),
        (r"^(a|a)*$", "a" * 60_000 + "!"),
        (r"^(a|aa)+$", "a" * 60_000 + "!"),
        (r"(x+x+)+y", "x" * 60_000),
        (r"^(.*a){12}$", "a" * 60_000 + "!"),
        (r"^([a-z0-9]+)*@[a-z]+$", "a1" * 30_000),
        (r"[01]*1[01]{200}y", "0110" * 15_000),
        (r"(\s+)+$", " " * 60_000 + "x"),
    ],
)
def test_a_pattern_that_ruins_a_backtracking_engine_takes_linear_time(pattern: str, text: str) -> None:
    assert rules({"pattern": pattern}, text) == ["pattern"]
    assert rules({"patternProperties": {pattern: False}}, {text: 1}) == []


def test_slow_patterns_over_much_text_are_refused_unchecked() -> None:
    schema = {"additionalProperties": {"allOf": [{"pattern": f"[01]*1[01]{{200}}{n}"} for n in range(30)]}}
    assert rules(schema, {"a": "01" * 100}) == ["pattern"] * 30
    assert rules(schema, {"a": "01" * 30_000}) == ["size"]


def test_references_that_fan_out_are_refused_for_what_they_cost() -> None:
    defs: dict[str, Any] = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(23)}
    defs["a23"] = {"type": "integer"}
    assert rules({"$ref": "#/$defs/a0", "$defs": defs}, 1) == ["size"]


def test_recursion_that_doubles_is_refused_for_documents_that_are_deep() -> None:
    schema = {"allOf": [{"properties": {"a": {"$ref": "#"}}}] * 4 + [{"type": "object"}]}
    shallow: dict[str, Any] = {"a": {"a": {}}}
    deep: dict[str, Any] = {}
    for _ in range(31):
        deep = {"a": deep}
    assert rules(schema, shallow) == []
    assert rules(schema, deep) == ["size"]


def test_unevaluated_properties_in_each_other_are_refused_for_what_they_cost() -> None:
    schema: dict[str, Any] = {"properties": {"z": {}}}
    for _ in range(14):
        schema = {"unevaluatedProperties": {"type": "integer"}, "allOf": [schema]}
    assert rules(schema, {f"q{n}": n for n in range(30)}) == ["size"]


def test_objects_in_a_huge_enum_are_refused_for_what_comparing_costs() -> None:
    schema = {"items": {"enum": [{"a": n} for n in range(3000)]}}
    assert rules(schema, [{"a": 2999}] * 100) == []
    assert rules(schema, [{"a": 2999}] * 5000) == ["size"]
    assert rules({"items": {"enum": [f"k{n}" for n in range(5000)]}}, ["k4999"] * 5000 + ["no"]) == [
        "choice",
        "schema",
    ]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"anyOf": [{"items": {"type": "string"}}] * 50}, ["schema"]),
        ({"items": {"anyOf": [{"type": "string"}] * 60}}, ["schema"]),
        ({"items": {"type": "string"}}, ["type", "schema"]),
        ({"items": {"enum": [f"k{n}" for n in range(900)]}}, ["choice", "schema"]),
    ],
)
def test_a_million_problems_are_not_made_to_be_told(schema: dict[str, Any], expected: list[str]) -> None:
    program = (
        "import json, resource, sys\nfrom trimtab_store.validation.json_schema import compile_schema\n"
        "compiled, value = compile_schema(sys.argv[1]), list(range(20_000))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = [one.rule for one in compiled.check(value, 'a.b')]\n"
        "print(json.dumps([found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(schema)], capture_output=True, text=True, check=True, timeout=WITHIN
    )
    assert json.loads(done.stdout) == [expected, True]
    assert rules(schema, list(range(100)))[0] in {"type", "choice"}


def test_nearest_words_are_not_looked_for_a_thousand_times() -> None:
    schema: dict[str, Any] = {"properties": {f"field_{n}": {} for n in range(3000)}, "additionalProperties": False}
    assert len(rules(schema, {f"fjeld_{n}": 1 for n in range(3000)})) == 201


@pytest.mark.parametrize(
    "ring",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"not": {"$ref": "#"}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"if": {"$ref": "#/$defs/a"}}}},
        {"dependentSchemas": {"a": {"$ref": "#"}}},
    ],
)
def test_a_reference_back_to_itself_is_refused(ring: dict[str, Any]) -> None:
    assert fault(ring) == "recursion"


def test_a_long_chain_of_references_is_refused_before_it_fills_the_stack() -> None:
    def chain(length: int) -> dict[str, Any]:
        defs: dict[str, Any] = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(length)}
        return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{length}": {"properties": {"a": {"$ref": "#/$defs/a0"}}}}}

    assert fault(chain(1_500)) == "recursion"
    deep: dict[str, Any] = {}
    for _ in range(60):
        deep = {"a": deep}
    assert rules(chain(MAX_CHAIN - 3), deep) == []


@pytest.mark.parametrize("length", [64, 5_000])
def test_a_document_deeper_than_any_that_can_be_stored_is_refused(length: int) -> None:
    deep: Any = []
    for _ in range(length + 1):
        deep = [deep]
    assert rules({"allOf": [{"items": {"$ref": "#"}}] * 2}, deep) == ["size"]


def test_a_document_far_too_deep_ends_no_process() -> None:
    program = (
        "from trimtab_store.validation.json_schema import compile_schema\n"
        "deep = []\nfor _ in range(900_000): deep = [deep]\n"
        'print(len(compile_schema(\'{"items": {"$ref": "#"}}\').check(deep, \'a.b\')))\n'
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"maximum": ' + "9" * 100_000 + "}", "size"),
        ('{"maximum": ' + "9" * 50_000 + "}", "json"),
        ('{"maximum": 1e400}', "json"),
        ('{"enum": [' + "1," * 40_000 + "1]}", "size"),
        ("[" * 60_000, "json"),
        ('{"not":' * 33 + "{}" + "}" * 33, "json"),
        ('{"type": "string", "type": "integer"}', "json"),
        ('{"title": "\\ud800"}', "json"),
        ("\ud800", "json"),
        ('\ufeff{"type": "object"}', "json"),
        ('{"a": NaN}', "json"),
    ],
)
def test_a_text_that_is_no_plain_json_within_bounds_is_refused(text: str, rule: str) -> None:
    assert fault(text) == rule


def test_the_bounds_of_a_schema_hold() -> None:
    assert fault({"allOf": [{"type": "integer"}] * (MAX_KEYWORDS + 1)}) == "size"
    assert fault({"allOf": [{"pattern": f"a{n}"} for n in range(MAX_PATTERNS + 1)]}) == "size"
    compile_schema(json.dumps({"allOf": [{"pattern": f"a{n}"} for n in range(MAX_PATTERNS)]}))


def test_numbers_far_larger_than_any_that_can_be_stored_are_compared() -> None:
    assert rules({"maximum": 1}, 10**4_000) == ["range"]
    assert rules({"type": "integer"}, 2**63 - 1) == []


def test_a_pattern_full_of_memory_is_not_kept() -> None:
    """Every pattern at the limit at once stays within the memory of a small process."""
    patterns = [{"pattern": f"\\w{{60}}{n}"} for n in range(MAX_PATTERNS)]
    program = (
        "import resource, sys\nfrom trimtab_store.validation.json_schema import compile_schema\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = compile_schema(sys.argv[1]).check('é' * 100, 'a.b')\n"
        "print(len(found), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps({"allOf": patterns})], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{MAX_PATTERNS} True\n"
