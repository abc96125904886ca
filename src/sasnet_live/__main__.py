"""``python -m sasnet_live``: the command line."""

from sasnet_live.cli import main

if __name__ == "__main__":
    main()
