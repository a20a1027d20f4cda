"""What a peer is asked to run, as words on its command line: `model=notebook n_vocab=10 …`."""

import sys


def asked():
    words = (word.split("=") for word in sys.argv[1:])
    return {name: value if name == "model" else int(value) for name, value in words}
