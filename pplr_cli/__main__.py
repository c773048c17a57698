"""`python -m pplr_cli`: the `pplr` command (what `torchrun -m` starts in each process)."""

from pplr_cli.app import main

if __name__ == "__main__":
    main()
