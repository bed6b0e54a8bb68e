"""Templates: documents made from a few parameters, built in or of the user's own.

from trimtab_store.templates import Templates

made = Templates().new("bot_scalper_paper", "scalper-1", {"position_size": 0.03})
with store.edit("staging", author="ada") as edit:
    made.put(edit)
"""

from trimtab_store.templates.catalogue import TemplateNotFound, Templates
from trimtab_store.templates.template import Instance, Template

__all__ = ["Instance", "Template", "TemplateNotFound", "Templates"]
