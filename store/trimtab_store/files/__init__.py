"""Configuration as files: strict YAML and JSON, and a fleet as a tree of them."""

from trimtab_store.files.errors import FileRefused
from trimtab_store.files.json_text import load_json
from trimtab_store.files.tree import EnvironmentFiles, FleetTree, LayerFiles, read_tree
from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.files.yaml_writer import dump_yaml

__all__ = [
    "EnvironmentFiles",
    "FileRefused",
    "FleetTree",
    "LayerFiles",
    "dump_yaml",
    "load_json",
    "load_yaml",
    "read_tree",
]
