"""`python -m trimtab_store` is `trimtab`."""

from trimtab_store.cli import main

if __name__ == "__main__":
    main()
