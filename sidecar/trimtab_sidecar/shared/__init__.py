"""The writing side of shared memory: a directory on tmpfs that the bots of a node attach to."""

from trimtab_sidecar.shared.files import SharedDirectory, SharedFiles
from trimtab_sidecar.shared.log import Limits
from trimtab_sidecar.shared.publisher import Publisher

__all__ = ["Limits", "Publisher", "SharedDirectory", "SharedFiles"]
