"""Files of other bots: from what freqtrade and hummingbot read to documents, and back to a file of equal meaning.

    file ─► project.read ─► secrets.kept_out ─► homes ─► documents, and what is left at foreign.<bot>.<file>
    documents, and what is left ─► returning.content, or a template of the sidecar's renderer ─► file

What a built-in category can hold has its home there and stands nowhere else. All other fields stay under
`foreign.<bot>.<file>`, so that nothing is dropped and nothing stands twice.
"""

from trimtab_store.foreign.importing import Held, Import, plan
from trimtab_store.foreign.projects import PROJECTS, Project, project
from trimtab_store.foreign.rendering.template import template
from trimtab_store.foreign.returning import content

__all__ = ["PROJECTS", "Held", "Import", "Project", "content", "plan", "project", "template"]
