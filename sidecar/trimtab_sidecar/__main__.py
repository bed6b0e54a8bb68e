"""`python -m trimtab_sidecar` is `trimtab-sidecar`."""

from trimtab_sidecar import main

main()
