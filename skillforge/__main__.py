"""``python -m skillforge``."""

from skillforge.cli.app import main

if __name__ == "__main__":
    main()
