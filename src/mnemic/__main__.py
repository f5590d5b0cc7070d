"""`python -m mnemic` is `mnemic`."""

from mnemic.cli import main

if __name__ == "__main__":
    main()
