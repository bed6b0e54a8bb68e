"""The writing side of shared memory: a directory on tmpfs that the bots of a node attach to."""

from trimtab_sidecar.shared.files import SharedDirectory, SharedFiles
from trimtab_sidecar.shared.publisher import Limits, Publisher

__all__ = ["Limits", "Publisher", "SharedDirectory", "SharedFiles"]
