"""Configuration as files: strict YAML, JSON, TOML, HCL and .env, and a fleet as a tree of them."""

from trimtab_store.files.env_text import Assignment, load_env
from trimtab_store.files.errors import FileRefused
from trimtab_store.files.json_text import load_json
from trimtab_store.files.layer_files import LayerFiles
from trimtab_store.files.toml_text import load_toml
from trimtab_store.files.toml_writer import dump_toml
from trimtab_store.files.tree import EnvironmentFiles, FleetTree, read_tree
from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.files.yaml_writer import dump_yaml

__all__ = [
    "Assignment",
    "EnvironmentFiles",
    "FileRefused",
    "FleetTree",
    "LayerFiles",
    "dump_toml",
    "dump_yaml",
    "load_env",
    "load_json",
    "load_toml",
    "load_yaml",
    "read_tree",
]
