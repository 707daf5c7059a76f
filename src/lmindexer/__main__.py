"""`python -m lmindexer` is the command `lmindexer`."""

from lmindexer.cli import main

if __name__ == "__main__":
    main()
