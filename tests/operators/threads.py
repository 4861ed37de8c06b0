"""What the tests of several threads share."""

import threading


def at_once(work, count):
    """Call ``work(n)`` for each n below `count`, each in a thread of its own, until all are done."""
    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
